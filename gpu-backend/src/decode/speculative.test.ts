import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../../../test/support/open-question.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { Engine } from '../engine/engine.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import { plainText } from '../engine/oracle.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import {
  GREEDY,
  openFixture,
  PROMPT,
  recording,
  sampled,
  sequenceOptions,
  withConfig,
} from '../engine/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { ModelFolder } from '../model/folder.ts';
import { copyOfFixture, fixturePath } from '../model/testing/temporary-folder.ts';
import { writeTruncated } from '../model/testing/truncated-folder.ts';
import type { Decoder } from './decoder.ts';
import { modelDrafter } from './draft-model.ts';
import { generate } from './generate.ts';
import { assertSameTokens } from './same-tokens.ts';
import { soloEngine } from './solo-engine.ts';
import { AT_ONCE, decodeTogether, jobsBy, stepsOf } from './testing.ts';

const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));
const decoders: fc.Arbitrary<Decoder> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 12 }).map(speculative) },
  { weight: 1, arbitrary: fc.constant<Decoder>({ type: 'ar' }) },
  { weight: 1, arbitrary: fc.constant<Decoder>({ type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 }) },
);

function speculative(draftLength: number): Decoder {
  return { type: 'speculative', draftLength };
}

describe('speculative decoding by a draft model', () => {
  let session: ModelSession;
  let other: ModelSession;
  let shallow: ModelSession;
  let folder: string;
  beforeAll(async () => {
    session = await openFixture('llama-tidar');
    other = await openFixture('qwen3-tidar');
    folder = mkdtempSync(join(tmpdir(), 'tidar-test-'));
    shallow = await openModel(loadModelFolder(writeTruncated(fixturePath('llama-tidar'), folder, 1)), {
      numThreads: 1,
    });
  });
  afterAll(async () => {
    for (const one of [session, other, shallow]) await one.dispose();
    rmSync(folder, { recursive: true });
  });

  const memory = fc.record({
    prefillTokens: fc.integer({ min: 1, max: 64 }),
    prefixCacheBytes: fc.constantFrom(0, 1 << 20),
    /** Of the draft model; so little that its texts give way to each other, or have no place at all. */
    maxDraftColumns: fc.constantFrom(Infinity, 320, 128),
  });

  it('gives the text of plain decoding, whatever the draft model, the draft length and who else is decoded', async () => {
    const drafts = [session, shallow, other];
    const counts = drafts.map(() => ({ numDrafted: 0, numAccepted: 0 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(jobsBy(decoders), { minLength: 1, maxLength: 6 }),
        memory,
        fc.nat(2),
        async (all, { maxDraftColumns, ...shared }, at) => {
          const limits = { ...shared, maxCacheBytes: Infinity, sharedPrefillTokens: shared.prefillTokens };
          const draft = drafts[at]!;
          const drafter = modelDrafter(draft, session.config.vocabSize, {
            ...limits,
            maxCacheBytes: maxDraftColumns * draft.numBytesPerColumn,
            smallestCapacity: 64,
          });
          const engine = new Engine(session, { ...limits, chooser: FIXED_PLANS, drafter });
          const texts = await decodeTogether(engine, all, ({ drafting, result }) => {
            if (drafting === undefined || result instanceof Error) return;
            counts[at]!.numDrafted += drafting.drafts.length;
            counts[at]!.numAccepted += result.tokenIds.length - 1;
          });
          for (const [index, { options, leavesAt }] of all.entries()) {
            const expected = await plainText(session, options);
            const text = texts[index]!;
            expect(text).toEqual(leavesAt === Infinity ? expected : expected.slice(0, text.length));
          }
          engine.dispose();
        },
      ),
      { seed: 21, numRuns: 60 },
    );
    const [self = 0, ...others] = counts.map(({ numAccepted, numDrafted }) => numAccepted / numDrafted);
    // The model's own drafts are refused only beyond the text's end; others' are sometimes right.
    expect(self).toBeGreaterThan(0.9);
    for (const share of others) {
      expect(share).toBeGreaterThan(0.1);
      expect(share).toBeLessThan(0.9);
    }
  });

  it('of the model by itself takes a pass for each draft_length + 1 tokens, and tells the draft model’s passes apart', async () => {
    const engine = soloEngine(session, FIXED_PLANS, session);
    const { promptIds, sampling } = sequenceOptions({ sampling: sampled({ temperature: 0.9, seed: 5n }) });
    const text = { promptIds, sampling, maxTokens: 21, stopTokenIds: [], ignoreEos: true };
    const steps = await stepsOf(engine, { ...text, decoder: speculative(4) });
    expect(steps.map(({ tokenIds }) => tokenIds.length)).toEqual([1, 5, 5, 5, 5]);
    expect(steps.map(({ numDrafted }) => numDrafted)).toEqual([0, 5, 5, 5, 5]);
    expect(steps.map(({ drafting }) => drafting?.numPasses)).toEqual([undefined, 4, 4, 4, 4]);
    engine.dispose();
  });

  it('shares the draft passes of all texts, and after the first computes nothing twice', async () => {
    const recorded = recording(shallow);
    const limits = {
      maxCacheBytes: Infinity,
      prefixCacheBytes: 0,
      prefillTokens: 64,
      sharedPrefillTokens: 64,
    };
    const drafter = modelDrafter(recorded.session, session.config.vocabSize, limits);
    const engine = new Engine(session, { ...limits, chooser: FIXED_PLANS, drafter });
    const texts = [1n, 2n, 3n].map((seed) => ({
      options: sequenceOptions({ sampling: sampled({ temperature: 1, seed }), maxTokens: 40 }),
      decoder: speculative(3),
      ...AT_ONCE,
    }));
    const { runs } = recorded;
    const numRuns: number[] = [];
    const numRows: number[] = [];
    await decodeTogether(engine, texts, () => {
      const rows = runs.splice(0).map((run) => run.numRows);
      if (rows.length === 0) return; // told by the first of the pass's turns
      numRuns.push(rows.length);
      numRows.push(rows[0]!);
    });
    // Later some are nearly done, and draft less.
    expect(numRuns.slice(0, 10)).toEqual(Array(10).fill(3));
    // A twin lacks the token that was decided, and the last draft where all were right.
    expect(numRows[0]).toBe(3 * (PROMPT.length + 1));
    expect(Math.max(...numRows.slice(1))).toBeLessThanOrEqual(6);
    engine.dispose();
  });

  it('goes on from committed tokens as if unbroken', async () => {
    const engine = soloEngine(session, FIXED_PLANS, shallow);
    const sampling = sampled({ temperature: 1, seed: 77n, frequencyPenalty: 0.3 });
    const { promptIds } = sequenceOptions();
    const expected = await plainText(session, sequenceOptions({ sampling, maxTokens: 16 }));
    for (let numKept = 0; numKept < 16; numKept += 3) {
      const committedIds = expected.slice(0, numKept);
      const options = { promptIds, committedIds, sampling, maxTokens: 16, decoder: speculative(3) };
      const steps = await stepsOf(engine, { ...options, stopTokenIds: [] });
      const rest = steps.flatMap(({ tokenIds }) => tokenIds);
      expect([...committedIds, ...rest]).toEqual(expected);
    }
    engine.dispose();
  });

  it('drafts nothing that the model does not know, and nothing beyond the draft model’s own context or vocabulary', async () => {
    const { config } = session;
    const short = withConfig(shallow, { ...config, maxPositions: 20 });
    const wide = sampled({ temperature: 1, seed: 3n });
    const expected = await plainText(session, sequenceOptions({ sampling: wide, maxTokens: 30 }));
    for (const [draft, vocabSize] of [
      [short, config.vocabSize],
      [withConfig(shallow, { ...config, vocabSize: 20 }), config.vocabSize],
      [shallow, 20],
    ] as const) {
      const unlimited = {
        maxCacheBytes: Infinity,
        prefixCacheBytes: 0,
        prefillTokens: 64,
        sharedPrefillTokens: 64,
      };
      const drafter = modelDrafter(draft, vocabSize, unlimited);
      const engine = new Engine(session, { ...unlimited, chooser: FIXED_PLANS, drafter });
      const job = { options: sequenceOptions({ sampling: wide, maxTokens: 30 }), decoder: speculative(4) };
      const texts = await decodeTogether(engine, [{ ...job, ...AT_ONCE }]);
      expect(texts[0]).toEqual(expected);
      engine.dispose();
    }
  });

  it('without a draft model is refused by name', async () => {
    const engine = soloEngine(session);
    const { promptIds, sampling } = sequenceOptions();
    const options = { promptIds, sampling, maxTokens: 4, decoder: speculative(4), stopTokenIds: [] };
    await expect(generate(engine, options).next()).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'decoder',
    });
    engine.dispose();
  });
});

describe('the demo model with its first two layers as the draft model', () => {
  let session: ModelSession;
  let draft: ModelSession;
  let folder: ModelFolder;
  let truncated: string;
  beforeAll(async () => {
    truncated = mkdtempSync(join(tmpdir(), 'tidar-test-'));
    folder = loadModelFolder(DEMO);
    session = await openModel(folder, { numThreads: 1, candidates: true });
    const small = loadModelFolder(writeTruncated(DEMO, truncated, 2));
    assertSameTokens(small, folder);
    draft = await openModel(small, { numThreads: 1, candidates: true });
  });
  afterAll(async () => {
    for (const one of [session, draft]) await one.dispose();
    rmSync(truncated, { recursive: true });
  });

  it('has the text and the log-probabilities of plain decoding, also in a format and with penalties', async () => {
    const engine = soloEngine(session, FIXED_PLANS, draft);
    const compiler = await GrammarCompiler.create(folder.tokenizer!, folder.config);
    const decode = async (decoder: Decoder, sampling: Sampling, spec?: GrammarSpec) => {
      const grammar = spec && (await compiler.compile(spec));
      const promptIds = folder.tokenizer!.encodeChat([{ role: 'user', content: OPEN_QUESTION }]);
      const options = { promptIds, maxTokens: 48, decoder, sampling, stopTokenIds: [], logprobs: 2 };
      return stepsOf(engine, options, grammar && { grammar });
    };
    const pattern = '[A-Z][a-z]+( [a-z]+){3,6}\\.';
    for (const spec of [undefined, { type: 'regex', pattern } as const]) {
      for (const sampling of [
        GREEDY,
        sampled({ temperature: 0.8, seed: 9n, frequencyPenalty: 0.4, topK: 40 }),
      ]) {
        const plain = await decode({ type: 'ar' }, sampling, spec);
        const steps = await decode(speculative(5), sampling, spec);
        expect(steps.flatMap(({ tokenIds }) => tokenIds)).toEqual(plain.flatMap(({ tokenIds }) => tokenIds));
        expect(steps.flatMap(({ logprobs }) => logprobs)).toEqual(plain.flatMap(({ logprobs }) => logprobs));
        expect(steps.length).toBeLessThan(plain.length);
      }
    }
    engine.dispose();
  });
});

describe('a draft model’s tokenizer', () => {
  it('must be the model’s own: another is refused with the token that differs', () => {
    const demo = loadModelFolder(DEMO);
    const bare = loadModelFolder(copyOfFixture('llama-tidar'));
    const shuffled = {
      ...demo,
      tokenizer: {
        ...demo.tokenizer!,
        bytesOf: (id: number) => demo.tokenizer!.bytesOf(id === 300 ? 301 : id),
      },
    };
    expect(() => assertSameTokens(demo, demo)).not.toThrow();
    expect(() => assertSameTokens(bare, bare)).not.toThrow();
    expect(() => assertSameTokens(shuffled, demo)).toThrow(/token 300 is .* there and .* here/);
    expect(() => assertSameTokens(bare, demo)).toThrow('has none');
    expect(() => assertSameTokens({ ...bare, config: { ...bare.config, vocabSize: 9 } }, bare)).toThrow(
      '9 and 48',
    );
  });
});
