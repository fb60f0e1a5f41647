/** The final answer of a worked problem, `42` of its line `#### 42`; undefined where there is none. */
export function extractAnswer(text: string): string | undefined {
  const lines = [...text.matchAll(/^#### ?(-?\d[\d,]*)\s*$/gm)];
  return lines.at(-1)?.[1]?.replaceAll(',', '');
}
