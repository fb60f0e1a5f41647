import { generate } from '../decode/generate.ts';
import type { Decoder } from '../decode/generate.ts';
import type { ModelSession } from '../device/device.ts';
import type { Sampling } from '../engine/sample.ts';
import { tokensPerForward } from './statistics.ts';

export interface BenchOptions {
  readonly prompts: readonly number[][];
  readonly draftLengths: readonly number[];
  readonly numRepetitions: number;
  readonly maxTokens: number;
  readonly sampling: Sampling;
}

/** One decoder's part of a bench; all decoders gave the same tokens. */
export interface DecoderResult {
  readonly name: string;
  readonly numRows: number;
  readonly tokensPerForward: number;
  readonly medianMsPerToken: number;
  readonly tokensPerSecond: number;
  /** Tokens/s ÷ plain decoding's, the median over repetitions, and the lowest and highest of them. */
  readonly speedup: { readonly median: number; readonly lowest: number; readonly highest: number };
  /** Share of the time that was not spent in forward passes. */
  readonly shareOutside: number;
}

interface Contender {
  readonly name: string;
  readonly decoder: Decoder;
}

interface Sample {
  readonly tokenIds: number[];
  readonly numPasses: number;
  readonly numRows: number;
  readonly milliseconds: number;
  readonly runMilliseconds: number;
}

/**
 * Decodes the same prompts with plain decoding (first result) and with each draft length, taking turns prompt by
 * prompt, so that whatever else the machine does falls on all of them. Throws if two decoders' tokens differ.
 */
export async function benchDecode(
  session: ModelSession,
  options: BenchOptions,
  onProgress: (done: number, total: number) => void,
): Promise<DecoderResult[]> {
  const { prompts, draftLengths, numRepetitions } = options;
  const contenders: Contender[] = [
    { name: 'ar', decoder: { type: 'ar' } },
    ...draftLengths.map((k): Contender => {
      return { name: `dense k=${k}`, decoder: { type: 'tidar', draftLength: k, beta: 1 } };
    }),
  ];
  for (const contender of contenders) await sample(session, contender, prompts[0] ?? [], options);
  const samples = contenders.map((): Sample[][] => []); // [contender][repetition][prompt]
  for (let repetition = 0; repetition < numRepetitions; repetition++) {
    for (const [index, prompt] of prompts.entries()) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const at = (turn + index + repetition) % contenders.length;
        const contender = contenders[at];
        if (contender === undefined) continue;
        ((samples[at] ??= [])[repetition] ??= []).push(await sample(session, contender, prompt, options));
      }
      assertSameTokens(
        contenders,
        samples.map((of) => of[repetition]?.[index]),
      );
      onProgress(repetition * prompts.length + index + 1, numRepetitions * prompts.length);
    }
  }
  return contenders.map(({ name }, at) => summarize(name, samples[at] ?? [], samples[0] ?? []));
}

async function sample(
  session: ModelSession,
  { decoder }: Contender,
  promptIds: readonly number[],
  { maxTokens, sampling }: BenchOptions,
): Promise<Sample> {
  let runMilliseconds = 0;
  const timed: ModelSession = {
    ...session,
    run: async (cache, rows) => {
      const startedAt = performance.now();
      const logits = await session.run(cache, rows);
      runMilliseconds += performance.now() - startedAt;
      return logits;
    },
  };
  const tokenIds: number[] = [];
  let numPasses = 0;
  let numRows = 0;
  const startedAt = performance.now();
  for await (const event of generate(timed, { promptIds, maxTokens, decoder, sampling, stopTokenIds: [] })) {
    if (event.type === 'end') break;
    tokenIds.push(...event.tokenIds);
    numPasses += 1;
    if (!event.isPrefill) numRows = Math.max(numRows, event.numRows);
  }
  return { tokenIds, numPasses, numRows, milliseconds: performance.now() - startedAt, runMilliseconds };
}

function assertSameTokens(contenders: readonly Contender[], samples: readonly (Sample | undefined)[]): void {
  const expected = samples[0]?.tokenIds.join();
  samples.forEach((one, at) => {
    if (one?.tokenIds.join() === expected) return;
    throw new Error(
      `${contenders[at]?.name} gave other tokens than plain decoding: ${one?.tokenIds.join()}; ${expected}`,
    );
  });
}

function summarize(
  name: string,
  repetitions: readonly Sample[][],
  plain: readonly Sample[][],
): DecoderResult {
  const all = repetitions.flat();
  const milliseconds = sum(all, (one) => one.milliseconds);
  const numTokens = sum(all, (one) => one.tokenIds.length);
  const numDecodePasses = sum(all, (one) => one.numPasses - 1);
  const speedups = repetitions.map((one, at) => total(plain[at] ?? []) / total(one)).sort((a, b) => a - b);
  return {
    name,
    numRows: Math.max(...all.map((one) => one.numRows)),
    tokensPerForward: tokensPerForward(1 + numTokens - all.length, 1 + numDecodePasses),
    medianMsPerToken: median(all.map((one) => one.milliseconds / one.tokenIds.length)),
    tokensPerSecond: (1000 * numTokens) / milliseconds,
    speedup: { median: median(speedups), lowest: speedups[0] ?? NaN, highest: speedups.at(-1) ?? NaN },
    shareOutside: 1 - sum(all, (one) => one.runMilliseconds) / milliseconds,
  };
}

function total(samples: readonly Sample[]): number {
  return sum(samples, (one) => one.milliseconds);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((all, value) => all + of(value), 0);
}
