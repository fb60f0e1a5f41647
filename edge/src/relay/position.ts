import type { StepEvent } from '@tidar/shared/protocol.ts';
import { sizeOf, withoutFirst } from './step-parts.ts';

/**
 * How far a client has an answer: of each choice so many tokens, and so many characters that came after them without a
 * token of their own (a text that was held back comes so when its choice ends).
 */
export interface Position {
  tokens: number[];
  characters: number[];
}

export function startPosition(numChoices: number): Position {
  return { tokens: zeros(numChoices), characters: zeros(numChoices) };
}

/** As the SSE id of a client's chunk: `5,7.3`. It outlives a failover, since it counts tokens. */
export function encodePosition({ tokens, characters }: Position): string {
  return tokens.map((count, choice) => withCharacters(count, characters[choice] ?? 0)).join(',');
}

const withCharacters = (numTokens: number, numCharacters: number): string =>
  numCharacters === 0 ? String(numTokens) : `${numTokens}.${numCharacters}`;

const COUNT = '(?:0|[1-9]\\d{0,9})';
const FORM = new RegExp(`^${COUNT}(?:\\.[1-9]\\d{0,9})?(?:,${COUNT}(?:\\.[1-9]\\d{0,9})?)*$`);

/** Undefined where it is no position in an answer of so many choices. */
export function parsePosition(id: string, numChoices: number): Position | undefined {
  if (!FORM.test(id)) return undefined;
  const parts = id.split(',').map((part) => part.split('.').map(Number));
  if (parts.length !== numChoices) return undefined;
  return { tokens: parts.map(([tokens = 0]) => tokens), characters: parts.map(([, extra = 0]) => extra) };
}

/** The position after a step. */
export function advance({ tokens, characters }: Position, step: StepEvent): Position {
  const { choice, token_ids: tokenIds } = step;
  const add = (counts: readonly number[], more: number): number[] =>
    counts.map((count, index) => (index === choice ? count + more : count));
  if (tokenIds.length === 0) return { tokens, characters: add(characters, sizeOf(step)) };
  const without = characters.map((count, index) => (index === choice ? 0 : count));
  return { tokens: add(tokens, tokenIds.length), characters: without };
}

/**
 * Leaves out of a repeated stream what its reader has already: of each choice so many tokens and characters from its
 * beginning on. Steps may be cut elsewhere than the first time; the text of the same tokens is the same.
 */
export class Overlap {
  readonly #tokens: number[];
  readonly #characters: number[];

  constructor({ tokens, characters }: Position) {
    this.#tokens = [...tokens];
    this.#characters = [...characters];
  }

  /** What is new of a step; undefined if nothing is. */
  rest(step: StepEvent): StepEvent | undefined {
    const numTokens = this.#take(this.#tokens, step.choice, step.token_ids.length);
    const numCharacters = this.#take(this.#characters, step.choice, sizeOf(step));
    if (numTokens === 0 && numCharacters === 0) return step;
    const tokenIds = step.token_ids.slice(numTokens);
    const left = withoutFirst(step, numCharacters);
    if (tokenIds.length === 0 && sizeOf(left) === 0) return undefined;
    // What the pass did as a whole was told with its first part, or belongs to another than the reader saw.
    const { trace: _trace, ...rest } = left;
    const logprobs = step.logprobs?.slice(numTokens);
    return { ...rest, token_ids: tokenIds, ...(logprobs === undefined ? {} : { logprobs }) };
  }

  #take(counts: number[], choice: number, most: number): number {
    const taken = Math.min(counts[choice] ?? 0, most);
    counts[choice] = (counts[choice] ?? 0) - taken;
    return taken;
  }
}

function zeros(length: number): number[] {
  return Array<number>(length).fill(0);
}
