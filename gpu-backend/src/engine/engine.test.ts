import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { Engine } from './engine.ts';
import type { EngineOptions } from './engine.ts';
import type { Active } from './active.ts';
import { plainText } from './oracle.ts';
import { FIXED_PLANS } from './plan-chooser.ts';
import { ar, dense, fitPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Sequence, SequenceOptions } from './sequence.ts';
import { openFixture, sampled, sequenceOptions, withConfig } from './testing.ts';

const ROOMY: EngineOptions = {
  chooser: FIXED_PLANS,
  maxCacheBytes: Infinity,
  prefixCacheBytes: 0,
  prefillTokens: 64,
  sharedPrefillTokens: 16,
};

/** A text to decode, and when and how it takes part. */
interface Job {
  options: SequenceOptions;
  arrivesAt: number;
  leavesAt: number;
  idles: number;
  draftLengths: number[];
  tenant: string;
}

const jobs: fc.Arbitrary<Job> = fc
  .record({
    prompt: fc.array(fc.integer({ min: 3, max: 46 }), { minLength: 1, maxLength: 60 }),
    repeatsPrompt: fc.constantFrom(true, true, false),
    maxTokens: fc.integer({ min: 1, max: 20 }),
    temperature: fc.constantFrom(0, 0.8, 1.2),
    frequencyPenalty: fc.constantFrom(0, 0, 0.5),
    seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    arrivesAt: fc.nat(6),
    leavesAt: fc.constantFrom(Infinity, Infinity, 3, 9),
    idles: fc.nat(3),
    draftLengths: fc.array(fc.constantFrom(0, 1, 6, 12, 12), { minLength: 1, maxLength: 3 }),
    tenant: fc.constantFrom('a', 'b'),
  })
  .map(({ prompt, repeatsPrompt, maxTokens, temperature, frequencyPenalty, seed, ...rest }) => ({
    ...rest,
    options: sequenceOptions({
      // Most prompts begin alike, so that kept prefixes are found.
      promptIds: repeatsPrompt ? [...COMMON, ...prompt] : prompt,
      maxTokens,
      sampling: sampled({ temperature, frequencyPenalty, seed }),
    }),
  }));
const COMMON = Array.from({ length: 150 }, (_, at) => 3 + ((at * 7) % 40));

let session: ModelSession;
const plainTexts = new Map<string, number[]>();
beforeAll(async () => {
  session = await openFixture('llama-tidar');
});
afterAll(() => session.dispose());

function nextPlan({ draftLengths }: Job): (sequence: Sequence) => Plan {
  let numSteps = 0;
  return ({ drafts, numRemainingTokens, tokenIds }) => {
    const draftLength = draftLengths[numSteps++ % draftLengths.length]!;
    const limits = {
      numDraftRows: 1 + drafts.length,
      numRemainingTokens,
      numPositions: 257 - tokenIds.length,
    };
    return draftLength === 0 ? ar() : fitPlan(dense(draftLength), limits);
  };
}

/** Lets jobs arrive, idle and leave between passes; returns each one's text, as far as it came. */
async function decodeTogether(engine: Engine, all: readonly Job[]): Promise<number[][]> {
  const running = new Map<Job, Active>();
  const texts = new Map<Job, number[]>();
  const waiting = new Set(all);
  for (let tick = 0; waiting.size > 0 || running.size > 0; tick++) {
    for (const job of waiting) {
      if (job.arrivesAt > tick) continue;
      const active = engine.open(job.options, {
        rule: { type: 'fixed', name: 'test', next: nextPlan(job) },
        salt: job.tenant,
      });
      if (active === undefined) continue;
      waiting.delete(job);
      running.set(job, active);
      texts.set(job, []);
    }
    const ready = new Set(
      [...running]
        .filter(([{ idles }]) => idles === 0 || tick % (idles + 1) === 0)
        .map(([, active]) => active),
    );
    for (const { active, result } of await engine.step(ready)) {
      if (result instanceof Error) throw result;
      const [job] = [...running].find(([, one]) => one === active)!;
      texts.get(job)!.push(...result.tokenIds);
    }
    for (const [job, active] of running) {
      if (active.sequence.finishReason === undefined && tick < job.leavesAt) continue;
      engine.close(active);
      running.delete(job);
    }
    engine.checkIntegrity();
    if (tick > 5000) throw new Error('the engine does not come to an end');
  }
  expect(engine.numActive).toBe(0);
  return all.map((job) => texts.get(job)!);
}

async function expectPlainTexts(all: readonly Job[], texts: readonly number[][]): Promise<void> {
  for (const [at, job] of all.entries()) {
    const key = JSON.stringify(job.options, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    if (!plainTexts.has(key)) plainTexts.set(key, await plainText(session, job.options));
    const expected = plainTexts.get(key)!;
    const isWhole = job.leavesAt === Infinity;
    expect(texts[at]).toEqual(isWhole ? expected : expected.slice(0, texts[at]!.length));
  }
}

describe('texts that are decoded together', () => {
  it('are each what plain decoding alone gives, whoever joins, idles and leaves', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(jobs, { minLength: 1, maxLength: 7 }), async (all) => {
        const engine = new Engine(session, ROOMY);
        await expectPlainTexts(all, await decodeTogether(engine, all));
        engine.dispose();
      }),
      { seed: 11, numRuns: 40 },
    );
  });

  it('stay so with kept prefixes, chunks of any size, and memory so short that slots are given up', async () => {
    let numHits = 0;
    let numYields = 0;
    const memory = fc.record({
      maxColumns: fc.integer({ min: 560, max: 1200 }),
      prefixColumns: fc.constantFrom(0, 200, 1000),
      prefillTokens: fc.integer({ min: 1, max: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(jobs, { minLength: 2, maxLength: 7 }), memory, async (all, limits) => {
        const engine = new Engine(session, {
          chooser: FIXED_PLANS,
          maxCacheBytes: limits.maxColumns * session.numBytesPerColumn,
          prefixCacheBytes: limits.prefixColumns * session.numBytesPerColumn,
          prefillTokens: limits.prefillTokens,
          sharedPrefillTokens: Math.ceil(limits.prefillTokens / 2),
          smallestCapacity: 64,
        });
        await expectPlainTexts(all, await decodeTogether(engine, all));
        numHits += engine.residence.prefixes.statistics.numHits;
        numYields += engine.residence.numYields;
        engine.dispose();
      }),
      { seed: 12, numRuns: 40 },
    );
    expect(numHits).toBeGreaterThan(3);
    expect(numYields).toBeGreaterThan(3);
  });
});

describe('memory that is too short', () => {
  const COLUMNS = 192;
  function shortEngine(columns: number, of = session): Engine {
    return new Engine(of, {
      ...ROOMY,
      maxCacheBytes: columns * session.numBytesPerColumn,
      smallestCapacity: 64,
    });
  }
  const rule = { type: 'fixed', name: 'ar', next: ar } as const;

  it('ends the text that outgrew it, not those that gave way to it', async () => {
    const engine = shortEngine(COLUMNS);
    const [long, short] = [sequenceOptions({ maxTokens: 200 }), sequenceOptions({ maxTokens: 100 })];
    const first = engine.open(long, { rule })!;
    const second = engine.open(short, { rule })!;
    const ready = new Set([first, second]);
    const failures: Error[] = [];
    while (second.sequence.finishReason === undefined) {
      for (const { active, result } of await engine.step(ready)) {
        if (!(result instanceof Error)) continue;
        expect(active).toBe(first);
        failures.push(result);
        engine.close(active, { hasFailed: true });
        ready.delete(active);
      }
      engine.checkIntegrity();
    }
    expect(failures).toMatchObject([{ code: 'overloaded' }]);
    expect(engine.residence.numYields).toBeGreaterThan(0);
    expect(second.sequence.tokenIds.slice(short.promptIds.length)).toEqual(await plainText(session, short));
    engine.dispose();
  });

  it('ends no text for room that its cache keeps for others: it moves to a smaller one', async () => {
    const engine = shortEngine(COLUMNS);
    const options = [1n, 2n].map((seed) =>
      sequenceOptions({ maxTokens: 100, sampling: sampled({ temperature: 1, seed }) }),
    );
    const actives = options.map((one) => engine.open(one, { rule })!);
    const ready = new Set(actives);
    while (ready.size > 0) {
      for (const { active, result } of await engine.step(ready)) {
        if (result instanceof Error) throw result;
        if (active.sequence.finishReason === undefined) continue;
        engine.close(active);
        ready.delete(active);
      }
      engine.checkIntegrity();
    }
    for (const [at, { sequence }] of actives.entries())
      expect(sequence.tokenIds.slice(sequence.numPromptTokens)).toEqual(
        await plainText(session, options[at]!),
      );
    engine.dispose();
  });

  it('leaves no grammar of a text without a place', () => {
    let numHeld = 0;
    const grammar = () => {
      numHeld += 1;
      return {
        allowed: () => undefined,
        accept: () => true,
        rollback: () => undefined,
        dispose: () => (numHeld -= 1),
      };
    };
    const engine = shortEngine(64);
    const taken = engine.open(sequenceOptions({ grammar: grammar() }), { rule })!;
    expect(engine.open(sequenceOptions({ grammar: grammar() }), { rule })).toBeUndefined();
    expect(numHeld).toBe(1);
    engine.close(taken);
    const promptIds = Array<number>(64).fill(3);
    expect(() => engine.open(sequenceOptions({ promptIds, grammar: grammar() }), { rule })).toThrow(
      'does not fit',
    );
    expect(numHeld).toBe(0);
    engine.dispose();
  });

  it('leaves nothing of a cache that could not be made', () => {
    let isShort = true;
    const failing: ModelSession = {
      ...withConfig(session, session.config),
      createCache: (numSlots, capacity) => {
        if (isShort) throw new RangeError('Array buffer allocation failed');
        return session.createCache(numSlots, capacity);
      },
    };
    const engine = shortEngine(64, failing);
    expect(() => engine.open(sequenceOptions(), { rule })).toThrow('allocation failed');
    engine.checkIntegrity();
    isShort = false;
    expect(engine.open(sequenceOptions(), { rule })).toBeDefined();
    engine.dispose();
  });
});
