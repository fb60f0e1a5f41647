import { traceOf } from '@tidar/shared/trace-context.ts';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { GenerateEvent, GenerateRequestInput } from '@tidar/shared/protocol.ts';
import {
  encodeGenerateEvent,
  generateRequestSchema,
  parseEventId,
  parseGenerateEvent,
} from '@tidar/shared/protocol.ts';
import { SseDecoder } from '@tidar/shared/sse.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTiny } from '../model/testing/tiny-tokenizer.ts';
import type { EngineEvent, PassStats } from './engine-messages.ts';
import { Generation } from './generation.ts';
import type { Entry } from './journal/records.ts';
import { Metrics } from './metrics.ts';
import type { PreparedRequest } from './prompt.ts';

const MODEL = {
  id: 'm',
  fingerprint: 'fp',
  context_length: 100,
  block_size: 4,
  draft_length: 4,
  auto_draft_length: 4,
  has_tokenizer: true,
  created: 0,
};
const PASS: PassStats = {
  numPasses: 1,
  numRows: 20,
  numDrafted: 4,
  numAccepted: 3,
  milliseconds: 1.5,
  plan: 'auto',
  numSequences: 2,
};

interface Told {
  events: GenerateEvent[];
  ids: (string | undefined)[];
  entries: Entry[];
  metrics: Metrics;
}

/** What a reader of the stream is told, where the engine says this. */
function tell(
  engineEvents: readonly (EngineEvent | TidarError)[],
  changes: Partial<GenerateRequestInput> = {},
  prepared: Partial<PreparedRequest> = {},
): Told {
  const request = parse(generateRequestSchema, {
    request_id: 'r',
    model: 'm',
    input: { type: 'tokens', token_ids: [1, 2, 3] },
    sampling: { seed: '7' },
    decoder: { type: 'ar' },
    ...changes,
  });
  const metrics = new Metrics(
    { numRunning: 0, numWaiting: 0, state: { cacheUsage: 0.25, numYields: 3 } },
    'm',
  );
  const host = { metrics, log: () => undefined, folder: { tokenizer: loadTiny() } };
  const whole = {
    promptIds: [1, 2, 3],
    resumedIds: Array.from({ length: request.num_choices }, () => []),
    engineRequest: undefined as never,
    ...prepared,
  };
  const origin = {
    prepared: whole,
    receivedAt: performance.now(),
    numSteps: 0,
    trace: traceOf(new Headers()),
  };
  const generation = new Generation(host, MODEL, request, origin);
  const told = engineEvents.map((event) =>
    event instanceof TidarError ? generation.fail(event) : generation.take(event),
  );
  const decoder = new SseDecoder();
  const encoded = told.map(({ event, counts }) => encodeGenerateEvent(event, counts)).join('');
  const messages = decoder.push(new TextEncoder().encode(encoded));
  return {
    events: messages.map(parseGenerateEvent),
    ids: messages.map(({ id }) => id),
    entries: told.map(({ entry }) => entry),
    metrics,
  };
}

const admitted: EngineEvent = { type: 'admitted', numCachedTokens: 2 };
const step = (choice: number, tokenIds: number[], text = ''): EngineEvent => ({
  type: 'step',
  choice,
  tokenIds,
  text,
  isLast: false,
  pass: PASS,
});
const finish = (choice: number, finishReason: 'stop' | 'length' = 'stop'): EngineEvent => ({
  type: 'finish',
  choice,
  finishReason,
});
const end: EngineEvent = { type: 'end', numForwardPasses: 4 };

describe('a generation', () => {
  it('of two choices tells each its steps and its finish, then once the usage of both', async () => {
    const { events, ids } = tell(
      [admitted, step(0, [4, 5], 'ab'), step(1, [6], 'c'), finish(1), step(0, [7]), finish(0, 'length'), end],
      { num_choices: 2 },
    );
    expect(events).toEqual([
      {
        type: 'start',
        request_id: 'r',
        prompt_token_ids: [1, 2, 3],
        num_prompt_tokens: 3,
        num_cached_tokens: 2,
        seed: '7',
        fingerprint: 'fp',
        model: 'm',
      },
      { type: 'step', choice: 0, token_ids: [4, 5], text: 'ab' },
      { type: 'step', choice: 1, token_ids: [6], text: 'c' },
      { type: 'finish', choice: 1, finish_reason: 'stop' },
      { type: 'step', choice: 0, token_ids: [7], text: '' },
      { type: 'finish', choice: 0, finish_reason: 'length' },
      {
        type: 'end',
        usage: { prompt_tokens: 3, completion_tokens: 4, cached_tokens: 2, num_forward_passes: 4 },
      },
    ]);
    expect(ids).toEqual(['0,0', '2,0', '2,1', '2,1', '3,1', '3,1', '3,1']);
  });

  it('has an id after each event that counts the tokens of each choice, resumed ones included', async () => {
    const run = fc.record({ choice: fc.nat({ max: 2 }), numTokens: fc.nat({ max: 5 }) });
    const resumed = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.nat({ max: 4 }));
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 12 }), resumed, async (runs, numResumed) => {
        const steps = runs.map(({ choice, numTokens }) => step(choice, Array<number>(numTokens).fill(9)));
        const prepared = { resumedIds: numResumed.map((count) => Array<number>(count).fill(9)) };
        const closing = [finish(0), finish(1), finish(2), end];
        const { events, ids } = tell([admitted, ...steps, ...closing], { num_choices: 3 }, prepared);
        const counts: number[] = [...numResumed];
        events.forEach((event, index) => {
          if (event.type === 'step') counts[event.choice]! += event.token_ids.length;
          expect(parseEventId(ids[index] ?? '', 3)).toEqual(counts);
        });
        const total = counts.reduce((sum, count) => sum + count, 0);
        expect(events.at(-1)).toMatchObject({ type: 'end', usage: { completion_tokens: total } });
      }),
      { numRuns: 50 },
    );
  });

  it('tells log-probabilities with the text and bytes of their tokens', async () => {
    const logprobs = [{ tokenId: 97, logprob: -0.5, top: [{ tokenId: 259, logprob: -2 }] }];
    const events: EngineEvent[] = [
      { ...admitted, promptLogprobs: [null, ...logprobs] },
      { type: 'step', choice: 0, tokenIds: [97], text: 'a', isLast: true, pass: PASS, logprobs },
      finish(0),
      end,
    ];
    const told = tell(events, { logprobs: 1, prompt_logprobs: 1 });
    const described = {
      token_id: 97,
      token: 'a',
      bytes: [97],
      logprob: -0.5,
      top: [{ token_id: 259, token: '<|end|>', bytes: null, logprob: -2 }],
    };
    expect(told.events[0]).toMatchObject({ type: 'start', prompt_logprobs: [null, described] });
    expect(told.events[1]).toMatchObject({ type: 'step', logprobs: [described] });
  });

  it('tells the numbers of its passes only where they are asked for', async () => {
    const passed = step(0, [4, 5, 6], 'abc');
    const silent = tell([admitted, passed, finish(0), end]);
    expect(silent.events[1]).not.toHaveProperty('stats');
    const { events } = tell([admitted, passed, finish(0), end], { trace: 'stats' });
    expect(events[1]).toMatchObject({
      stats: { rows: 20, drafted: 4, accepted: 3, milliseconds: 1.5, plan: 'auto', sequences: 2 },
    });
  });

  it('is written as it is told: steps in their order, then how it closed and what it came to', async () => {
    const events: EngineEvent[] = [
      admitted,
      step(1, [6]),
      step(0, [4, 5]),
      finish(1),
      finish(0, 'length'),
      end,
    ];
    const { entries } = tell(events, { num_choices: 2 });
    expect(entries).toMatchObject([
      { type: 'start', numCachedTokens: 2 },
      { type: 'step', seq: 0, choice: 1, tokenIds: [6] },
      { type: 'step', seq: 1, choice: 0, tokenIds: [4, 5] },
      { type: 'finish', finishReasons: [null, 'stop'] },
      { type: 'finish', finishReasons: ['length', 'stop'] },
      { type: 'close', state: 'ended', tokenCounts: [2, 1], tokensHash: await hashTokenIds([[4, 5], [6]]) },
    ]);
    const cancelled = tell([admitted, step(0, [4]), new TidarError('cancelled', 'Gone.')]);
    expect(cancelled.entries.at(-1)).toMatchObject({ type: 'close', state: 'cancelled', tokenCounts: [1] });
    const failed = tell([new TidarError('overloaded', 'Busy.')]);
    expect(failed.entries).toMatchObject([{ type: 'close', state: 'failed', error: { code: 'overloaded' } }]);
  });

  it('that fails ends with the error and its retry time, in place of an end', async () => {
    const busy = new TidarError('overloaded', 'Busy.', { retryAfterMs: 2500, internal: 'queue' });
    expect(tell([busy]).events).toEqual([
      {
        type: 'error',
        error: { code: 'overloaded', message: 'Busy.', retryable: true, retry_after_ms: 2500 },
      },
    ]);
  });
});

describe('metrics', () => {
  /** All have the labels of the model and its engine. */
  const nameOf = (line: string): string => {
    expect(line).toContain('model_name="m",engine="0"');
    return line
      .slice(0, line.lastIndexOf(' '))
      .replace(/,?model_name="m",engine="0"/, '')
      .replace('{}', '');
  };
  const values = async (metrics: Metrics): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.render())
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => [nameOf(line), Number(line.slice(line.lastIndexOf(' ')))]),
    );

  it('count a prompt and what the prefix cache had of it once, and the cache not where it is not asked', async () => {
    const { metrics } = tell([admitted, finish(0), finish(1), end], { num_choices: 2 });
    expect(await values(metrics)).toMatchObject({
      'vllm:prompt_tokens_total': 3,
      'vllm:prefix_cache_queries_total': 3,
      'vllm:prefix_cache_hits_total': 2,
      'vllm:request_success_total{finished_reason="stop"}': 2,
    });
    const scored = tell([{ ...admitted, numCachedTokens: 0, promptLogprobs: [null] }, finish(0), end]);
    expect(await values(scored.metrics)).toMatchObject({ 'vllm:prefix_cache_queries_total': 0 });
  });

  it('count a pass once, though each of its sequences tells of it, and rows by plan', async () => {
    const passed = (choice: number): EngineEvent => step(choice, [4, 5, 6], 'abc');
    const { metrics } = tell([admitted, passed(0), passed(1), finish(0), finish(1), end], {
      num_choices: 2,
    });
    expect(await values(metrics)).toMatchObject({
      tidar_forward_passes_total: 1,
      tidar_forward_pass_sequences_sum: 4,
      tidar_forward_pass_sequences_count: 2,
      tidar_forward_rows_total: 40,
      'tidar_plan_rows_total{plan="auto"}': 40,
      'vllm:generation_tokens_total': 6,
      'vllm:spec_decode_num_draft_tokens_total': 6,
      'vllm:spec_decode_num_accepted_tokens_total': 4,
      'vllm:spec_decode_num_accepted_tokens_per_pos_total{position="0"}': 2,
      'vllm:spec_decode_num_accepted_tokens_per_pos_total{position="1"}': 2,
      'vllm:kv_cache_usage_perc': 0.25,
      'vllm:num_preemptions_total': 3,
      'vllm:inter_token_latency_seconds_count': 0,
    });
  });
});
