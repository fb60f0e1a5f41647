import type { RowCandidates } from '../../device/device.ts';

/** How one choice's tokens are drawn: plain data that crosses threads. */
export interface Sampling {
  /** Below 1e-5: greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** An unsigned 64-bit number. */
  readonly seed: bigint;
  /** Taken once from the logit of each token of the completion so far; 0: off. */
  readonly presencePenalty: number;
  /** Taken from a token's logit for each time that the completion holds it; 0: off. */
  readonly frequencyPenalty: number;
  /** Divides the positive and multiplies the negative logits of tokens of prompt and completion; 1: off. */
  readonly repetitionPenalty: number;
  /** Added to logits; no token id twice. */
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /** No stop or end token before the completion holds so many tokens. */
  readonly minTokens: number;
}

/** Greedy, everything else off. */
export const PLAIN_SAMPLING: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 0n,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
  minTokens: 0,
};

/** Dividing by less would leave nothing of the noise, and soon no finite numbers either. */
const LOWEST_TEMPERATURE = 1e-5;

export function isGreedy({ temperature }: Sampling): boolean {
  return temperature < LOWEST_TEMPERATURE;
}

/** Whether any processor needs to know which tokens came before. */
export function hasPenalties(sampling: Sampling): boolean {
  const { presencePenalty, frequencyPenalty, repetitionPenalty } = sampling;
  return presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1;
}

/** Read-only numbers indexed by token id. */
export type Row = Float32Array | Float64Array;

/** One row of logits as a forward pass gives it; `full` may have to fetch it from the device. */
export interface LogitsRow {
  full(): Row;
  /** Undefined where rows are read whole. */
  readonly candidates: RowCandidates | undefined;
}

/** The winner of a keyed draw, its runner-up (-1: nothing else is left) and how far apart their scores are. */
export interface Draw {
  readonly best: number;
  readonly secondBest: number;
  /** Infinity where nothing else is left. */
  readonly margin: number;
}
