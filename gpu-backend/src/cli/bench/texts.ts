import { sequenceOptions } from '../../decode/generate.ts';
import type { GenerateOptions } from '../../decode/generate.ts';
import { planRule } from '../../decode/plan-rules.ts';
import type { Active } from '../../engine/active.ts';
import type { Engine, Turn } from '../../engine/engine.ts';
import type { Prompts } from './rounds.ts';
import type { TimedSession } from './sessions.ts';

/** One text decoded alone. What follows prefill is counted apart: passes, rows and times are of that alone. */
export interface TextRun {
  readonly tokenIds: readonly number[];
  /** Of all tokens, natural; NaN where they were not asked for. */
  readonly logprob: number;
  readonly numPasses: number;
  readonly numRows: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Of `decodeMs`, inside the device. */
  readonly graphMs: number;
}

export async function decodeText(
  engine: Engine,
  timed: TimedSession,
  options: GenerateOptions,
  salt?: string,
): Promise<TextRun> {
  const tokenIds: number[] = [];
  let [logprob, numPasses] = [options.logprobs === undefined ? NaN : 0, 0];
  let mark = { at: 0, graphMs: 0, numRows: 0 };
  const startedAt = performance.now();
  const active = open(engine, options, salt);
  try {
    while (active.sequence.finishReason === undefined) {
      const isPrefill = tokenIds.length === 0;
      for (const { result } of await engine.step(new Set([active]))) {
        if (result instanceof Error) throw result;
        tokenIds.push(...result.tokenIds);
        for (const one of result.logprobs) logprob += one.logprob;
      }
      if (isPrefill) mark = { at: performance.now(), graphMs: timed.milliseconds, numRows: timed.numRows };
      else numPasses += 1;
    }
    return {
      tokenIds,
      logprob,
      numPasses,
      numRows: timed.numRows - mark.numRows,
      prefillMs: mark.at - startedAt,
      decodeMs: performance.now() - mark.at,
      graphMs: timed.milliseconds - mark.graphMs,
    };
  } finally {
    engine.close(active);
  }
}

function open(engine: Engine, options: GenerateOptions, salt?: string): Active {
  const rule = planRule(options.decoder, engine.config.maxPositions);
  const active = engine.open(sequenceOptions(options, engine.config), { rule, salt });
  if (active === undefined) throw new RangeError('the engine has no memory left for this text');
  return active;
}

/** The steady part of many texts decoded together. */
export interface SteadyRun {
  /** By prompt, as far as each came. */
  readonly texts: readonly (readonly number[])[];
  readonly numTokens: number;
  /** Without those that prefill decided. */
  readonly numDecodeTokens: number;
  readonly numPasses: number;
  /** Of the whole run, before the steady part too. */
  readonly numAllPasses: number;
  /** Passes that a sequence had part in, over all sequences, prefill's left out. */
  readonly numTurns: number;
  readonly numRows: number;
  readonly ms: number;
  readonly graphMs: number;
  /** Passes in which no prompt joined. */
  readonly pure: { readonly numTokens: number; readonly ms: number };
}

/** A run that hasn't begun to count. */
const NOTHING = {
  numTokens: 0,
  numDecodeTokens: 0,
  numPasses: 0,
  numAllPasses: 0,
  numTurns: 0,
  numRows: 0,
  ms: 0,
  graphMs: 0,
};

/**
 * Decodes `batch` sequences together, the next prompt taking the place of one that ends. Only the steady part counts:
 * from when all are past prefill to when a place stays empty. Prompts that join meanwhile are part of it. The first texts
 * are cut to different lengths, so that they don't all end at once.
 */
export async function decodeSteadily(
  engine: Engine,
  timed: TimedSession,
  prompts: Prompts,
  batch: number,
  options: Omit<GenerateOptions, 'promptIds'>,
): Promise<SteadyRun> {
  const texts: number[][] = prompts.map(() => []);
  const queue = [...prompts.entries()].reverse();
  const running = new Map<Active, number>();
  const count = { ...NOTHING };
  const pure = { numTokens: 0, ms: 0 };
  let isSteady = false;
  const fill = (): void => {
    while (running.size < batch && queue.length > 0) {
      const [index, promptIds] = queue.pop() ?? [0, []];
      const share = Math.min(1, (index + 1) / batch);
      const maxTokens = Math.max(2, Math.ceil(options.maxTokens * share));
      running.set(open(engine, { ...options, promptIds, maxTokens }), index);
    }
  };
  try {
    for (fill(); running.size === batch; fill()) {
      const [startedAt, graphMs, numRows] = [performance.now(), timed.milliseconds, timed.numRows];
      const turns = await engine.step(new Set(running.keys()));
      count.numAllPasses += 1;
      for (const { active, result, isPrefill } of turns) {
        if (result instanceof Error) throw result;
        texts[running.get(active) ?? -1]?.push(...result.tokenIds);
        if (isSteady) add(count, result.tokenIds.length, isPrefill);
        if (active.sequence.finishReason === undefined) continue;
        engine.close(active);
        running.delete(active);
      }
      if (isSteady) {
        const ms = performance.now() - startedAt;
        count.numPasses += 1;
        count.ms += ms;
        count.graphMs += timed.milliseconds - graphMs;
        count.numRows += timed.numRows - numRows;
        if (turns.every(({ isPrefill }) => !isPrefill)) {
          pure.ms += ms;
          pure.numTokens += turns.reduce((all, turn) => all + numTokensOf(turn), 0);
        }
      }
      isSteady ||= [...running.keys()].every(({ sequence }) => sequence.numCompletionTokens > 0);
    }
    return { texts, ...count, pure };
  } finally {
    for (const active of running.keys()) engine.close(active);
  }
}

function add(count: typeof NOTHING, numTokens: number, isPrefill: boolean): void {
  count.numTokens += numTokens;
  if (isPrefill) return;
  count.numDecodeTokens += numTokens;
  count.numTurns += 1;
}

function numTokensOf({ result }: Turn): number {
  return result instanceof Error ? 0 : result.tokenIds.length;
}
