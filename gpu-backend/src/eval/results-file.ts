import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';

const generatedSchema = z.object({
  text: z.string(),
  /** Absent where answers are not judged. */
  isRight: z.boolean().optional(),
  numTokens: z.int(),
  numDecoded: z.int(),
  numPasses: z.int(),
  milliseconds: z.number(),
  isCutShort: z.boolean(),
});
/** An item's answer by one row. */
export type Generated = z.infer<typeof generatedSchema>;

const scoredSchema = z.union([
  z.object({ isRightByByte: z.boolean(), isRightByToken: z.boolean() }),
  z.object({ bits: z.number(), numBytes: z.int() }),
]);
/** What a model says of an item in a causal pass, whatever the decoder. */
export type Scored = z.infer<typeof scoredSchema>;

const lineSchema = z.object({
  task: z.string(),
  index: z.int().nonnegative(),
  /** By row. */
  answers: z.record(z.string(), generatedSchema),
  /** By model. */
  scores: z.record(z.string(), scoredSchema),
});
/** A finished item: all rows answered it in turns, so that their times compare. */
export type ResultLine = z.infer<typeof lineSchema>;

/**
 * The finished items of a run, one a line. A run that was stopped goes on behind its last whole line; one that came to
 * its end is put aside, so that the next one measures anew.
 */
export class ResultsFile {
  readonly path: string;
  readonly #lines = new Map<string, ResultLine>();

  /** `fresh`: what an earlier run left is thrown away. */
  static open(folder: string, name: string, fresh = false): ResultsFile {
    const path = join(folder, `${name}.jsonl`);
    mkdirSync(dirname(path), { recursive: true });
    if (fresh) rmSync(path, { force: true });
    return new ResultsFile(path);
  }

  private constructor(path: string) {
    this.path = path;
    if (!existsSync(path)) return;
    const text = readFileSync(path, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole !== text) writeFileSync(path, whole);
    for (const [at, line] of whole.split('\n').slice(0, -1).entries())
      this.#add(parse(line, `${path}, line ${at + 1}`));
  }

  get numLines(): number {
    return this.#lines.size;
  }

  get(task: string, index: number): ResultLine | undefined {
    return this.#lines.get(keyOf({ task, index }));
  }

  append(line: ResultLine): void {
    appendFileSync(this.path, `${JSON.stringify(line)}\n`);
    this.#add(line);
  }

  /** Where the lines of a finished run are. */
  finish(): string {
    const kept = this.path.replace(/\.jsonl$/, '.done.jsonl');
    if (existsSync(this.path)) renameSync(this.path, kept);
    return kept;
  }

  /** An item may have been answered again, by more rows. */
  #add(line: ResultLine): void {
    this.#lines.set(keyOf(line), line);
  }
}

function keyOf({ task, index }: Pick<ResultLine, 'task' | 'index'>): string {
  return `${task} ${index}`;
}

function parse(line: string, place: string): ResultLine {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (error) {
    throw new TidarError('invalid_request', `${place}: is no result; --fresh starts anew.`, {
      internal: String(error),
    });
  }
}
