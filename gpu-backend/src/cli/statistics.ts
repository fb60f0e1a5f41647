import type { DecodeEvent, GenerateOptions } from '../decode/generate.ts';

type Step = Omit<Extract<DecodeEvent, { type: 'step' }>, 'type'>;

/**
 * Tokens per forward pass (T/NFE) as TiDAR's paper counts: prefill gives the first token, the end token counts, and
 * plain decoding is exactly 1. 0 where prefill was the only pass.
 */
export function tokensPerForward(numTokens: number, numForwardPasses: number): number {
  return numForwardPasses > 1 ? (numTokens - 1) / (numForwardPasses - 1) : 0;
}

/** What a generation cost, for a person: three lines. */
export function statistics(
  steps: readonly Step[],
  { decoder, sampling, promptIds }: GenerateOptions,
): string {
  const numTokens = steps.reduce((sum, step) => sum + step.tokenIds.length, 0);
  const decodeSteps = steps.filter((step) => !step.isPrefill);
  const decodeMs = decodeSteps.reduce((sum, step) => sum + step.milliseconds, 0);
  const prefillMs = steps.reduce((sum, step) => sum + step.milliseconds, 0) - decodeMs;
  const perPass = decodeSteps.length > 0 ? decodeMs / decodeSteps.length : 0;
  const perSecond = decodeMs > 0 ? (1000 * (numTokens - 1)) / decodeMs : 0;
  const how =
    decoder.type === 'ar' ? 'ar' : `tidar, draft length ${decoder.draftLength}, beta ${decoder.beta}`;
  const keyed =
    sampling.temperature === 0 ? 'greedy' : `temperature ${sampling.temperature}, seed ${sampling.seed}`;
  return [
    '',
    `${promptIds.length} prompt tokens, ${numTokens} tokens in ${steps.length} forward passes (${how}; ${keyed})`,
    `${tokensPerForward(numTokens, steps.length).toFixed(2)} tokens per forward pass after prefill, ` +
      `${perSecond.toFixed(0)} tokens/s, ${perPass.toFixed(2)} ms a pass, prefill ${prefillMs.toFixed(1)} ms`,
    `accepted in each pass: ${decodeSteps.map((step) => step.numAccepted).join(' ')}`,
  ].join('\n');
}
