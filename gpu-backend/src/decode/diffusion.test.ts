import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import type { Active } from '../engine/active.ts';
import { diffusionOracle } from '../engine/diffusion/oracle.ts';
import type { OracleText } from '../engine/diffusion/oracle.ts';
import { Engine } from '../engine/engine.ts';
import { oracleState, oracleStep } from '../engine/oracle.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import { ar } from '../engine/plan.ts';
import type { SequenceOptions } from '../engine/sequence.ts';
import {
  columnNumbers,
  freshPrefill,
  GREEDY,
  openFixture,
  PROMPT,
  sampled,
  sequenceOptions,
  withConfig,
} from '../engine/testing.ts';
import type { Decoder, DiffusionOptions } from './decoder.ts';
import { generate } from './generate.ts';
import type { DecodeEvent, GenerateOptions } from './generate.ts';
import { planRule } from './plan-rules.ts';
import { soloEngine } from './solo-engine.ts';

type StepEvent = Extract<DecodeEvent, { type: 'step' }>;

const ROOMY = { chooser: FIXED_PLANS, maxCacheBytes: Infinity, prefixCacheBytes: 1 << 20 };

const diffusions: fc.Arbitrary<DiffusionOptions> = fc
  .record({
    blockLength: fc.integer({ min: 1, max: 9 }),
    strategy: fc.constantFrom('confidence', 'left-to-right', 'threshold'),
    tokensPerPass: fc.integer({ min: 1, max: 4 }),
    threshold: fc.constantFrom(0.03, 0.1, 0.3, 0.9),
  })
  .map(({ blockLength, strategy, tokensPerPass, threshold }) =>
    strategy === 'threshold'
      ? { blockLength, strategy, threshold }
      : { blockLength, strategy, tokensPerPass },
  );

/** A text to decode, and when it takes part; without diffusion, plain. */
interface Job {
  readonly options: SequenceOptions;
  readonly arrivesAt: number;
  readonly leavesAt: number;
  readonly idles: number;
}

const COMMON = Array.from({ length: 100 }, (_, at) => 3 + ((at * 7) % 40));

const jobs: fc.Arbitrary<Job> = fc
  .record({
    prompt: fc.array(fc.integer({ min: 3, max: 46 }), { minLength: 1, maxLength: 40 }),
    isLong: fc.constantFrom(true, false, false),
    maxTokens: fc.integer({ min: 1, max: 24 }),
    stopTokenIds: fc.constantFrom([], [2], [5, 9, 11, 26, 31]),
    temperature: fc.constantFrom(0, 0.8, 1.2),
    topK: fc.constantFrom(0, 5),
    topP: fc.constantFrom(1, 0.9),
    frequencyPenalty: fc.constantFrom(0, 0, 0.5),
    repetitionPenalty: fc.constantFrom(1, 1.3),
    minTokens: fc.constantFrom(0, 0, 6),
    seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    diffusion: fc.option(diffusions, { nil: undefined, freq: 6 }),
    choice: fc.nat(2),
    arrivesAt: fc.nat(6),
    leavesAt: fc.constantFrom(Infinity, Infinity, 3, 9),
    idles: fc.nat(2),
  })
  .map(
    ({
      prompt,
      isLong,
      maxTokens,
      stopTokenIds,
      choice,
      diffusion,
      arrivesAt,
      leavesAt,
      idles,
      ...sampling
    }) => ({
      options: sequenceOptions({
        promptIds: isLong ? [...COMMON, ...prompt] : prompt,
        maxTokens,
        choice,
        diffusion,
        stopTokenIds: new Set(stopTokenIds),
        sampling: sampled({ ...sampling, minTokens: Math.min(maxTokens, sampling.minTokens) }),
      }),
      ...{ arrivesAt, leavesAt, idles },
    }),
  );

async function lawfulText(session: ModelSession, options: SequenceOptions): Promise<OracleText> {
  if (options.diffusion !== undefined) return diffusionOracle(session, options);
  const state = oracleState(options);
  let numPasses = 0;
  for (; state.finishReason === undefined; numPasses++) await oracleStep(session, state, ar());
  return { tokenIds: state.tokenIds.slice(options.promptIds.length), numPasses };
}

function decoderOf({ diffusion }: SequenceOptions): Decoder {
  return diffusion === undefined ? { type: 'ar' } : { type: 'diffusion', ...diffusion };
}

/** Lets jobs arrive, idle and leave between passes; returns each one's text as far as it came. */
async function decodeTogether(engine: Engine, all: readonly Job[]): Promise<number[][]> {
  const running = new Map<Job, Active>();
  const waiting = new Set(all);
  const texts = new Map<Job, number[]>();
  for (let tick = 0; waiting.size > 0 || running.size > 0; tick++) {
    for (const job of waiting) {
      if (job.arrivesAt > tick) continue;
      const rule = planRule(decoderOf(job.options), engine.config.maxPositions);
      const active = engine.open(job.options, { rule, salt: 'a' });
      if (active === undefined) continue;
      waiting.delete(job);
      running.set(job, active);
      texts.set(job, []);
    }
    const isReady = ({ idles }: Job): boolean => idles === 0 || tick % (idles + 1) === 0;
    const ready = new Set([...running].filter(([job]) => isReady(job)).map(([, active]) => active));
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
  return all.map((job) => texts.get(job)!);
}

describe.each(['llama-tidar', 'qwen3-tidar'])('block diffusion of %s', (name) => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openFixture(name);
  });
  afterAll(() => session.dispose());

  async function expectLawful(all: readonly Job[], texts: readonly number[][]): Promise<void> {
    for (const [at, { options, leavesAt }] of all.entries()) {
      const { tokenIds } = await lawfulText(session, options);
      expect(texts[at]).toEqual(leavesAt === Infinity ? tokenIds : tokenIds.slice(0, texts[at]!.length));
    }
  }

  it('gives the text of an oracle without a cache, whoever joins, idles and leaves, plain texts among them', async () => {
    const chunks = fc.integer({ min: 1, max: 64 });
    await fc.assert(
      fc.asyncProperty(fc.array(jobs, { minLength: 1, maxLength: 5 }), chunks, async (all, prefillTokens) => {
        const limits = { prefillTokens, sharedPrefillTokens: Math.ceil(prefillTokens / 2) };
        const engine = new Engine(session, { ...ROOMY, ...limits });
        await expectLawful(all, await decodeTogether(engine, all));
        engine.dispose();
      }),
      { seed: 31, numRuns: 40 },
    );
  });

  it('also where memory is so short that texts give up their place in the middle of a block', async () => {
    let numYields = 0;
    const columns = fc.integer({ min: 256, max: 450 });
    const growing = jobs.map(({ options, ...rest }): Job => {
      const longer = {
        maxTokens: 70,
        stopTokenIds: new Set<number>(),
        promptIds: options.promptIds.slice(-60),
      };
      return { ...rest, options: { ...options, ...longer } };
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(growing, { minLength: 3, maxLength: 5 }),
        columns,
        async (all, maxColumns) => {
          const maxCacheBytes = maxColumns * session.numBytesPerColumn;
          const limits = {
            prefillTokens: 64,
            sharedPrefillTokens: 16,
            smallestCapacity: 64,
            prefixCacheBytes: 0,
          };
          const engine = new Engine(session, { ...ROOMY, ...limits, maxCacheBytes });
          await expectLawful(all, await decodeTogether(engine, all));
          numYields += engine.residence.numYields;
          engine.dispose();
        },
      ),
      { seed: 32, numRuns: 12 },
    );
    expect(numYields).toBeGreaterThan(3);
  });

  it('goes on from any committed token as if unbroken: the block under way is begun anew and comes to the same', async () => {
    const resumed = fc.record({
      diffusion: diffusions,
      seed: fc.bigInt({ min: 0n, max: 99n }),
      numKept: fc.nat(19),
    });
    await fc.assert(
      fc.asyncProperty(resumed, async ({ diffusion, seed, numKept }) => {
        const sampling = sampled({ temperature: 1, seed, presencePenalty: 0.3 });
        const options = sequenceOptions({ diffusion, sampling, maxTokens: 20 });
        const { tokenIds } = await lawfulText(session, options);
        const committedIds = tokenIds.slice(0, numKept);
        const engine = new Engine(session, { ...ROOMY, prefillTokens: 7, sharedPrefillTokens: 7 });
        const job = { options: { ...options, committedIds }, arrivesAt: 0, leavesAt: Infinity, idles: 0 };
        expect([...committedIds, ...(await decodeTogether(engine, [job]))[0]!]).toEqual(tokenIds);
        engine.dispose();
      }),
      { seed: 33, numRuns: 40 },
    );
  });

  it('keeps of every finished block the columns of one causal pass', async () => {
    const engine = new Engine(session, { ...ROOMY, prefillTokens: 64, sharedPrefillTokens: 64 });
    const diffusion = { blockLength: 5, strategy: 'confidence', tokensPerPass: 2 } as const;
    const options = sequenceOptions({ diffusion, maxTokens: 30 });
    const active = engine.open(options, { rule: planRule({ type: 'diffusion', ...diffusion }, 256) })!;
    const { sequence } = active;
    const counts = new Set<number>();
    while (sequence.finishReason === undefined) {
      const [turn] = await engine.step(new Set([active]));
      expect(turn!.result).not.toBeInstanceOf(Error);
      counts.add(sequence.numCommitted - PROMPT.length);
    }
    expect([...counts]).toEqual([0, 5, 10, 15, 20, 25]);
    const { numbers } = await freshPrefill(session, sequence.tokenIds.slice(0, sequence.numCommitted));
    const { slot } = active as unknown as {
      slot: { slab: { cache: Parameters<typeof columnNumbers>[1] }; index: number };
    };
    expect(columnNumbers(session, slot.slab.cache, slot.index, sequence.numCommitted)).toEqual(numbers);
    engine.dispose();
  });
});

describe('a generation by block diffusion', () => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openFixture('llama-tidar');
  });
  afterAll(() => session.dispose());

  const plain = { promptIds: PROMPT, maxTokens: 24, sampling: GREEDY, stopTokenIds: [], ignoreEos: true };

  async function collect(
    decoder: Decoder,
    changes: Partial<GenerateOptions> = {},
    on = session,
  ): Promise<StepEvent[]> {
    const steps: StepEvent[] = [];
    const engine = soloEngine(on);
    for await (const event of generate(engine, { ...plain, decoder, ...changes }))
      if (event.type === 'step') steps.push(event);
    engine.checkIntegrity();
    engine.dispose();
    return steps;
  }

  it.each([1, 2, 4, 8])(
    'takes a pass for each %i tokens, and no other for the cache',
    async (tokensPerPass) => {
      for (const strategy of ['confidence', 'left-to-right'] as const) {
        const steps = await collect({ type: 'diffusion', blockLength: 8, strategy, tokensPerPass });
        expect(steps).toHaveLength(24 / tokensPerPass);
        expect(steps.flatMap(({ tokenIds }) => tokenIds)).toHaveLength(24);
        expect(steps.map(({ isPrefill }) => isPrefill)).toEqual(steps.map((_, at) => at === 0));
        const later = steps.slice(1);
        expect(later.every(({ numAccepted }) => numAccepted === tokensPerPass)).toBe(true);
        // A block's first pass also writes the block before it.
        const isFirst = (at: number): boolean => (at + 1) % (8 / tokensPerPass) === 0;
        expect(later.map(({ numRows }) => numRows)).toEqual(later.map((_, at) => (isFirst(at) ? 16 : 8)));
      }
    },
  );

  it('by threshold takes all that the model is sure enough of, and always one', async () => {
    const byThreshold = (threshold: number): Decoder => {
      return { type: 'diffusion', blockLength: 8, strategy: 'threshold', threshold };
    };
    expect(await collect(byThreshold(1))).toHaveLength(24);
    expect(await collect(byThreshold(1e-9))).toHaveLength(3);
    const some = (await collect(byThreshold(0.06))).length;
    expect(some).toBeGreaterThan(3);
    expect(some).toBeLessThan(24);
  });

  it('tells each token’s log-probability in the pass that fixed it', async () => {
    const decoder = { type: 'diffusion', blockLength: 8, strategy: 'confidence', tokensPerPass: 8 } as const;
    const [first] = await collect(decoder, { logprobs: 2, maxTokens: 8 });
    expect(first!.logprobs!.map(({ tokenId }) => tokenId)).toEqual(first!.tokenIds);
    for (const { logprob, top } of first!.logprobs!) expect(top[0]!.logprob).toBe(logprob);
  });

  it('says by name what it cannot do', async () => {
    const refusal = async (decoder: object, changes: Partial<GenerateOptions> = {}, on = session) => {
      const all = { type: 'diffusion', blockLength: 4, strategy: 'confidence', tokensPerPass: 1, ...decoder };
      const error: unknown = await collect(all as Decoder, changes, on).catch((thrown: unknown) => thrown);
      return (error as { param?: string; code?: string }).param ?? (error as { code?: string }).code;
    };
    const { tidar: _, ...bare } = session.config;
    const grammar = { type: 'regex', pattern: 'a+' } as const;
    expect(await refusal({}, {}, withConfig(session, bare))).toBe('decoder');
    expect(await refusal({ blockLength: 65 })).toBe('block_length');
    expect(await refusal({ tokensPerPass: 0 })).toBe('tokens_per_pass');
    expect(await refusal({ strategy: 'threshold', threshold: 0 })).toBe('threshold');
    expect(await refusal({}, { grammar, ignoreEos: false })).toBe('grammar');
    // 256 positions hold 9 of the prompt and 61 whole blocks of 4.
    expect(await refusal({}, { maxTokens: 245 })).toBe('context_length_exceeded');
    expect(
      (
        await collect(
          { type: 'diffusion', blockLength: 4, strategy: 'confidence', tokensPerPass: 4 },
          { maxTokens: 244 },
        )
      ).length,
    ).toBe(61);
  });
});
