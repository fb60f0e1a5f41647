import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { traceOf } from '@tidar/shared/trace-context.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { GenerateEvent } from '@tidar/shared/protocol.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CREDIT_WINDOW } from './engine-client.ts';
import type { EngineListener } from './engine-client.ts';
import type { EngineEvent } from './engine-messages.ts';
import { Generations } from './generations.ts';
import { Journal } from './journal/journal.ts';
import { Metrics } from './metrics.ts';
import type { LiveEvents, RunningGeneration } from './running-generation.ts';

let folder: string;
let journal: Journal;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidar-running-'));
  journal = new Journal({ path: join(folder, 'journal.sqlite'), retentionMs: 1e9 });
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

/** An engine that says what a test says, and what it was told. */
interface Stage {
  readonly running: RunningGeneration;
  readonly engine: EngineListener;
  readonly told: { credits: number; endTokens: number[]; cancelled: TidarError[]; numWaiting: number };
  readonly generations: Generations;
}

function begin({ isFull = false, endToken = 100, clientGraceMs = 60_000, sliceWaitMs = 60_000 } = {}): Stage {
  const told: Stage['told'] = { credits: 0, endTokens: [], cancelled: [], numWaiting: 0 };
  let engine: EngineListener | undefined;
  const generations = new Generations({
    journal,
    clientGraceMs,
    sliceWaitMs,
    host: {
      metrics: new Metrics({ numRunning: 0, numWaiting: 0, state: { cacheUsage: 0, numYields: 0 } }, 'm'),
      log: () => undefined,
      folder: { tokenizer: undefined },
    },
    engine: {
      onWaiting: () => undefined,
      get numWaiting() {
        return told.numWaiting;
      },
      submit(_, listener) {
        if (isFull) throw new TidarError('overloaded', 'The engine is full.');
        engine = listener;
        return {
          addCredits: (n) => void (told.credits += n),
          extend: (n) => void told.endTokens.push(n),
          cancel: (reason) => {
            told.cancelled.push(reason);
            listener.onFailure(reason);
          },
        };
      },
    },
  });
  const request = parse(generateRequestSchema, {
    request_id: 'r',
    model: 'm',
    input: { type: 'tokens', token_ids: [1] },
    max_tokens: 1000,
    sampling: { seed: '7' },
    decoder: { type: 'ar' },
  });
  const lease = {
    request_id: 'r',
    attempt: 0,
    choices: 1,
    end_token: endToken,
    expires_at_ms: Date.now() + 60_000,
  } as LeasePayload;
  const model = { id: 'm', fingerprint: 'fp' } as never;
  const prepared = { promptIds: [1], resumedIds: [[]], engineRequest: undefined as never };
  const running = generations.start({
    model,
    request,
    lease,
    prepared,
    receivedAt: performance.now(),
    trace: traceOf(new Headers()),
  });
  return { running, engine: engine!, told, generations };
}

const admitted: EngineEvent = { type: 'admitted', numCachedTokens: 0 };
const step = (tokenId: number): EngineEvent => ({
  type: 'step',
  choice: 0,
  tokenIds: [tokenId],
  text: '',
  isLast: false,
  pass: {
    numPasses: 1,
    numRows: 1,
    numDrafted: 1,
    numAccepted: 1,
    milliseconds: 1,
    numSequences: 1,
    plan: 'ar',
  },
});
const END: EngineEvent[] = [
  { type: 'finish', choice: 0, finishReason: 'stop' },
  { type: 'end', numForwardPasses: 1 },
];

async function next(live: LiveEvents): Promise<GenerateEvent> {
  const told = await live.next();
  if (told === undefined) throw new Error('the reader fell behind');
  return told.event;
}

async function readToEnd(live: LiveEvents): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  while (events.at(-1)?.type !== 'end' && events.at(-1)?.type !== 'error') events.push(await next(live));
  return events;
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('a running generation', () => {
  it('tells its reader nothing that is not in the journal', async () => {
    const { running, engine } = begin();
    const live = running.attach();
    for (const event of [admitted, step(1), step(2), step(3), ...END]) engine.onEvent(event);
    for (let seen = 0; ;) {
      const event = await next(live);
      if (event.type === 'step') seen += 1;
      expect(journal.tokensOf(running.id)[0]!.length).toBeGreaterThanOrEqual(seen);
      if (event.type !== 'end') continue;
      expect(journal.find('r', 0)).toMatchObject({ state: 'ended', tokenCounts: [3] });
      return;
    }
  });

  it('holds the engine back for a slow reader, and lets it go on for one who has left', async () => {
    const { running, engine, told } = begin();
    const live = running.attach();
    engine.onEvent(admitted);
    for (let n = 0; n < CREDIT_WINDOW; n++) engine.onEvent(step(n));
    await turn();
    expect(told.credits).toBe(0);
    for (let n = 0; n <= CREDIT_WINDOW / 2; n++) await live.next();
    expect(told.credits).toBe(CREDIT_WINDOW / 2);
    live.leave();
    expect(told.credits).toBe(CREDIT_WINDOW);
    for (let n = 0; n < 5 * CREDIT_WINDOW; n++) engine.onEvent(step(n));
    await turn();
    expect(told.credits).toBe(6 * CREDIT_WINDOW);
    await expect(live.next()).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('goes on without a slow reader where others wait for its place, and he misses nothing', async () => {
    const { running, engine, told } = begin();
    const live = running.attach();
    engine.onEvent(admitted);
    expect((await next(live)).type).toBe('start');
    told.numWaiting = 1;
    for (let n = 0; n < 5 * CREDIT_WINDOW; n++) engine.onEvent(step(n));
    await turn();
    expect(told.credits).toBe(5 * CREDIT_WINDOW);
    expect(await live.next()).toBeUndefined();
    expect(live.rejoin().numSteps).toBe(5 * CREDIT_WINDOW);
    await expect(live.next()).rejects.toMatchObject({ code: 'stream_taken_over' });
    expect(() => live.rejoin()).toThrow(expect.objectContaining({ code: 'stream_taken_over' }));
  });

  it('has no more in memory than a window, however often its reader is another one', async () => {
    const { running, engine, told } = begin();
    engine.onEvent(admitted);
    let numSent = 0;
    let numGranted = CREDIT_WINDOW;
    for (let reader = 0; reader < 20; reader++) {
      const live = running.attach();
      numGranted = CREDIT_WINDOW + told.credits;
      for (; numSent < numGranted; numSent++) engine.onEvent(step(numSent));
      await turn();
      for (let n = 0; n < reader % (CREDIT_WINDOW / 2); n++) await live.next();
    }
    for (const event of END) engine.onEvent(event);
    await turn();
    expect(journal.tokensOf(running.id)[0]).toEqual(Array.from({ length: numSent }, (_, n) => n));
  });

  it('ends with an error, and its engine’s work with it, where the journal cannot be written', async () => {
    const { running, engine, told, generations } = begin();
    const live = running.attach();
    engine.onEvent(admitted);
    expect((await next(live)).type).toBe('start');
    // The place of its next step is taken.
    journal.write(
      running.id,
      { type: 'step', seq: 0, choice: 0, tokenIds: [9], isLast: false },
      () => undefined,
    );
    await turn();
    engine.onEvent(step(1));
    const events = await readToEnd(live);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'internal' } }]);
    expect(told.cancelled).toHaveLength(1);
    expect(generations.size).toBe(0);
  });

  it('waits at the end of its slice until the reader has all of it, then so long for its lease', async () => {
    const { running, engine, told } = begin({ endToken: 2, sliceWaitMs: 30 });
    const live = running.attach();
    for (const event of [admitted, step(1), step(2)]) engine.onEvent(event);
    await sleep(100);
    expect(told.cancelled).toEqual([]);
    for (let n = 0; n < 3; n++) await live.next();
    expect(running.renew({ end_token: 3, expires_at_ms: Date.now() + 60_000 } as LeasePayload)).toBe(3);
    expect(told.endTokens).toEqual([3]);
    await sleep(100);
    expect(told.cancelled).toEqual([]);
    engine.onEvent(step(3));
    expect((await readToEnd(live)).at(-1)).toMatchObject({
      error: { code: 'lease_expired', retryable: true },
    });
    expect(journal.find('r', 0)).toMatchObject({ state: 'failed', tokenCounts: [3] });
  });

  it('that nobody reads for the grace is cancelled; one more reader in time and it is not', async () => {
    const { running, told, engine } = begin({ clientGraceMs: 50 });
    running.attach().leave();
    const live = running.attach();
    await sleep(150);
    expect(told.cancelled).toEqual([]);
    engine.onEvent(admitted);
    live.leave();
    await sleep(150);
    expect(told.cancelled).toMatchObject([{ code: 'cancelled' }]);
    expect(journal.find('r', 0)).toMatchObject({ state: 'cancelled' });
  });

  it('leaves nothing behind where the engine does not take it: no entry, and no timer that ends it', async () => {
    const numTimers = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = numTimers();
    for (let round = 0; round < 20; round++) expect(() => begin({ isFull: true })).toThrow('full');
    expect(journal.find('r', 0)).toBeUndefined();
    // The test's own runner has timers that come and go.
    expect(numTimers() - before).toBeLessThan(10);
  });

  it('closes once, whatever comes after its end', async () => {
    const { running, engine } = begin();
    const live = running.attach();
    for (const event of [admitted, step(1), ...END]) engine.onEvent(event);
    running.cancel(new TidarError('cancelled', 'Late.'));
    engine.onFailure(new TidarError('internal', 'Later.'));
    const events = await readToEnd(live);
    expect(events.map(({ type }) => type)).toEqual(['start', 'step', 'finish', 'end']);
    await turn();
    expect(journal.find('r', 0)).toMatchObject({ state: 'ended' });
  });
});
