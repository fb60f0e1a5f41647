import type { DecodeEvent, GenerateOptions } from '../decode/generate.ts';
import type { TokenLogprob } from '../engine/sampling/logprobs.ts';
import { describeDecoder } from './decoder-flags.ts';

/** What is told of a pass beside its log-probabilities. */
export type Step = Omit<Extract<DecodeEvent, { type: 'step' }>, 'type' | 'logprobs'>;

/**
 * Tokens per forward pass (T/NFE) as TiDAR's paper counts: prefill gives the first token, the end token counts, and
 * plain decoding is exactly 1. 0 where prefill was the only pass.
 */
export function tokensPerForward(numTokens: number, numForwardPasses: number): number {
  return numForwardPasses > 1 ? (numTokens - 1) / (numForwardPasses - 1) : 0;
}

/** What a generation cost, for a person: a few lines. */
export function statistics(
  steps: readonly Step[],
  { decoder, sampling, promptIds }: GenerateOptions,
): string {
  const sumOf = (of: readonly Step[], value: (step: Step) => number): number =>
    of.reduce((sum, step) => sum + value(step), 0);
  const passes = steps.filter((step) => !step.isPrefill);
  const perPass = (value: (step: Step) => number): number =>
    passes.length > 0 ? sumOf(passes, value) / passes.length : 0;
  const list = (value: (step: Step) => number): string => passes.map(value).join(' ');
  const numTokens = sumOf(steps, (step) => step.tokenIds.length);
  const passMs = sumOf(passes, (step) => step.milliseconds);
  const prefillMs = sumOf(steps, (step) => step.milliseconds) - passMs;
  const draftMs = sumOf(steps, ({ drafting }) => drafting?.milliseconds ?? 0);
  const numDraftPasses = sumOf(steps, ({ drafting }) => drafting?.numPasses ?? 0);
  const decodeMs = passMs + draftMs;
  const perSecond = decodeMs > 0 ? (1000 * sumOf(passes, (step) => step.tokenIds.length)) / decodeMs : 0;
  const keyed =
    sampling.temperature === 0 ? 'greedy' : `temperature ${sampling.temperature}, seed ${sampling.seed}`;
  return [
    '',
    `${promptIds.length} prompt tokens, ${numTokens} tokens in ${steps.length} forward passes (${describeDecoder(decoder)}; ${keyed})`,
    `${tokensPerForward(numTokens, steps.length).toFixed(2)} tokens per forward pass after prefill, ` +
      `${perPass((step) => step.numRows).toFixed(1)} rows and ${perPass((step) => step.milliseconds).toFixed(2)} ms a pass, ` +
      `${perSecond.toFixed(0)} tokens/s, prefill ${prefillMs.toFixed(1)} ms`,
    ...(numDraftPasses === 0
      ? []
      : [`beside them ${numDraftPasses} passes of the draft model, ${draftMs.toFixed(1)} ms`]),
    `rows in each pass: ${list((step) => step.numRows)}`,
    `accepted of them:  ${list((step) => step.numAccepted)}`,
  ].join('\n');
}

/** One line for each token: its log-probability, and the likeliest tokens with theirs. */
export function logprobLines(
  logprobs: readonly TokenLogprob[],
  textOf: (tokenId: number) => string,
): string[] {
  return logprobs.map(({ tokenId, logprob, top }) => {
    const others = top.map((each) => `${textOf(each.tokenId)} ${each.logprob.toFixed(3)}`).join('  ');
    return `${logprob.toFixed(3).padStart(8)}  ${textOf(tokenId)}${others === '' ? '' : `  of  ${others}`}`;
  });
}
