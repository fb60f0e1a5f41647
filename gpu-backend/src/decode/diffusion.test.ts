import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { diffusionOracle } from '../engine/diffusion/oracle.ts';
import { Engine } from '../engine/engine.ts';
import { plainText } from '../engine/oracle.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
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
import type { GenerateOptions } from './generate.ts';
import { planRule } from './plan-rules.ts';
import { soloEngine } from './solo-engine.ts';
import { AT_ONCE, decodeTogether, jobsBy, stepsOf } from './testing.ts';
import type { Job, StepEvent } from './testing.ts';

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

const jobs = jobsBy(
  fc.oneof(
    { weight: 6, arbitrary: diffusions.map((one): Decoder => ({ type: 'diffusion', ...one })) },
    { weight: 1, arbitrary: fc.constant<Decoder>({ type: 'ar' }) },
    { weight: 1, arbitrary: fc.constant<Decoder>({ type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 }) },
  ),
);

async function lawfulText(session: ModelSession, options: SequenceOptions): Promise<number[]> {
  if (options.diffusion === undefined) return plainText(session, options);
  return (await diffusionOracle(session, options)).tokenIds;
}

describe.each(['llama-tidar', 'qwen3-tidar'])('block diffusion of %s', (name) => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openFixture(name);
  });
  afterAll(() => session.dispose());

  async function expectLawful(all: readonly Job[], texts: readonly number[][]): Promise<void> {
    for (const [at, { options, leavesAt }] of all.entries()) {
      const tokenIds = await lawfulText(session, options);
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
        const tokenIds = await lawfulText(session, options);
        const committedIds = tokenIds.slice(0, numKept);
        const engine = new Engine(session, { ...ROOMY, prefillTokens: 7, sharedPrefillTokens: 7 });
        const decoder: Decoder = { type: 'diffusion', ...diffusion };
        const job = { options: { ...options, committedIds }, decoder, ...AT_ONCE };
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
    const engine = soloEngine(on);
    try {
      return await stepsOf(engine, { ...plain, decoder, ...changes });
    } finally {
      engine.dispose();
    }
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

  it('tells the prompt’s log-probabilities as plain decoding does', async () => {
    const promptLogprobsBy = async (decoder: Decoder) => {
      const engine = soloEngine(session);
      let told: unknown;
      for await (const event of generate(engine, { ...plain, maxTokens: 8, decoder, promptLogprobs: 2 }))
        if (event.type === 'end') told = event.promptLogprobs;
      engine.dispose();
      return told;
    };
    const decoder = { type: 'diffusion', blockLength: 4, strategy: 'confidence', tokensPerPass: 1 } as const;
    const expected = await promptLogprobsBy({ type: 'ar' });
    expect(expected).toHaveLength(PROMPT.length);
    expect(await promptLogprobsBy(decoder)).toEqual(expected);
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
