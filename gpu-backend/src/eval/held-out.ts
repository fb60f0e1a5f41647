import { readFileSync } from 'node:fs';
import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import { extractAnswer } from '../data/extract-answer.ts';

const schema = z.object({
  kind: z.string(),
  question: z.string(),
  answer: z.string(),
  /** What an answer is compared with: the number of a worked problem, or the whole text. */
  expected: z.string(),
});
export type HeldOutQuestion = z.infer<typeof schema>;

/** Reads a heldout.jsonl as `npm run data` writes it; throws a sentence that names file and line. */
export function readHeldOut(path: string): HeldOutQuestion[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line, i) => (line.trim() === '' ? [] : [parseLine(line, `${path}, line ${i + 1}`)]));
}

function parseLine(line: string, place: string): HeldOutQuestion {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new TidarError('invalid_json', `${place}: is not JSON.`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new TidarError(
    'invalid_request',
    `${place}: expected kind, question, answer and expected, all text.`,
  );
}

/** At most `limit` questions of each kind, the first ones. */
export function limitPerKind(questions: readonly HeldOutQuestion[], limit: number): HeldOutQuestion[] {
  const counts = new Map<string, number>();
  return questions.filter(({ kind }) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= limit;
  });
}

/** Whether a generated text gives the expected answer exactly; a worked problem counts by its last line. */
export function isExactMatch(question: HeldOutQuestion, text: string): boolean {
  if (extractAnswer(question.answer) === undefined) return text.trim() === question.expected.trim();
  return extractAnswer(text) === question.expected;
}
