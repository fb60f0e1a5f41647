import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Say = (what: string) => void;

/** What happened in a round and when, kept for whoever wants to know why it failed. */
export class Trace {
  readonly #startedAt = performance.now();
  readonly #lines: string[] = [];

  readonly say: Say = (what) => {
    const atMs = Math.round(performance.now() - this.#startedAt);
    this.#lines.push(`${String(atMs).padStart(7)} ms  ${what}`);
  };

  /** Returns where it is. */
  write(folder: string, name: string, parts: Readonly<Record<string, unknown>>): string {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${name}.txt`);
    const sections = Object.entries(parts).map(
      ([title, value]) =>
        `# ${title}\n${typeof value === 'string' ? value : JSON.stringify(value, null, 1)}\n`,
    );
    writeFileSync(path, [`# events\n${this.#lines.join('\n')}\n`, ...sections].join('\n'));
    return path;
  }
}
