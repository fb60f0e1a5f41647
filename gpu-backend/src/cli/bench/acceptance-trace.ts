import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * How a model's drafts of real texts fared: for each token of the texts, what the masks of a block that starts there
 * predicted. That fixes which drafts are accepted under any plan: a draft is right or wrong by its position and by
 * how much its block knew, not by what else the pass computes.
 */
export interface AcceptanceTrace {
  /** For a person: which model and which texts. */
  readonly source: string;
  readonly blockSize: number;
  readonly numStarts: number;
  /** [numStarts, blockSize], see `encodeOutcome`; texts follow each other, and depth 0 predicts the start itself. */
  readonly outcomes: Uint8Array;
}

export interface Outcome {
  /** The prediction is the text's own token. */
  readonly isHit: boolean;
  /** The runner-up is. */
  readonly isSecondHit: boolean;
  /** The winner's logit less the runner-up's. */
  readonly margin: number;
}

const HIT = 0x80;
const SECOND_HIT = 0x40;
const MARGIN_BITS = 0x3f;
/** Codes are root-spaced: fine where a draft is unsure, up to 62. */
const MARGIN_SCALE = 64;
export const MAX_MARGIN = MARGIN_BITS ** 2 / MARGIN_SCALE;

export function encodeOutcome({ isHit, isSecondHit, margin }: Outcome): number {
  const code = Math.round(Math.sqrt(Math.min(margin, MAX_MARGIN) * MARGIN_SCALE));
  return (isHit ? HIT : 0) | (isSecondHit ? SECOND_HIT : 0) | code;
}

export const isHit = (outcome: number): boolean => (outcome & HIT) !== 0;
export const isSecondHit = (outcome: number): boolean => (outcome & SECOND_HIT) !== 0;
export const marginOf = (outcome: number): number => (outcome & MARGIN_BITS) ** 2 / MARGIN_SCALE;

/** The outcome of the mask at this depth of a block that starts at a position; texts repeat without end. */
export function outcomeAt(trace: AcceptanceTrace, start: number, depth: number): number {
  if (depth >= trace.blockSize) return 0;
  return trace.outcomes[(start % trace.numStarts) * trace.blockSize + depth] ?? 0;
}

/** Drafts that are always right, or never: the two ends of every bench. */
export function constantTrace(isAlwaysHit: boolean, blockSize = 64): AcceptanceTrace {
  const outcome = encodeOutcome({ isHit: isAlwaysHit, isSecondHit: false, margin: isAlwaysHit ? 10 : 0.5 });
  return {
    source: isAlwaysHit ? 'every draft right' : 'every draft wrong',
    blockSize,
    numStarts: 1,
    outcomes: new Uint8Array(blockSize).fill(outcome),
  };
}

/**
 * Tokens that a dense step of this draft length decides, on average: the decided token and the drafts after it up
 * to the first wrong one.
 */
export function denseTokensPerForward(trace: AcceptanceTrace, draftLength: number): number {
  let numForwards = 0;
  for (let start = 0; start < trace.numStarts; numForwards++) {
    let numDecided = 1;
    while (numDecided < draftLength && isHit(outcomeAt(trace, start, numDecided))) numDecided += 1;
    start += numDecided;
  }
  return trace.numStarts / numForwards;
}

const fileSchema = z.strictObject({
  source: z.string(),
  blockSize: z.int().positive(),
  numStarts: z.int().positive(),
  outcomes: z.base64(),
});

export function traceToJson({ outcomes, ...rest }: AcceptanceTrace): string {
  return `${JSON.stringify({ ...rest, outcomes: Buffer.from(outcomes).toString('base64') }, null, 2)}\n`;
}

export function traceFromJson(json: string): AcceptanceTrace {
  const { outcomes, ...rest } = fileSchema.parse(JSON.parse(json));
  const bytes = Uint8Array.from(Buffer.from(outcomes, 'base64'));
  if (bytes.length !== rest.numStarts * rest.blockSize)
    throw new RangeError(`a trace has ${bytes.length} outcomes, not ${rest.numStarts} × ${rest.blockSize}`);
  return { ...rest, outcomes: bytes };
}

const DEMO_TRACE = new URL('./demo-acceptance.json', import.meta.url);

/** The demo model's, on held-out questions (made by record-acceptance.ts). */
export function demoTrace(): AcceptanceTrace {
  return traceFromJson(readFileSync(DEMO_TRACE, 'utf8'));
}
