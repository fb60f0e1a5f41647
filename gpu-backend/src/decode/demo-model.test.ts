import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../../../test/support/open-question.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import type { Engine } from '../engine/engine.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import { GREEDY } from '../engine/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import { generate } from './generate.ts';
import { PLAN_NAMES } from './decoder.ts';
import type { Decoder, PlanName } from './decoder.ts';
import { measuredChooser } from './planned-engine.ts';
import { soloEngine } from './solo-engine.ts';

const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));
const QUESTIONS = fileURLToPath(new URL('../../../test/fixtures/questions.json', import.meta.url));

const NUM_SEEDS = 10;
const DRAFT_LENGTHS = Array.from({ length: 16 }, (_, index) => 1 + index);

const dense = (draftLength: number): Decoder => ({ type: 'tidar', plan: 'dense', draftLength, beta: 1 });
const planned = (plan: PlanName): Decoder => {
  return { type: 'tidar', plan, draftLength: plan === 'auto' ? 16 : 6, beta: 1 };
};

describe('the demo model', () => {
  let session: ModelSession;
  let engine: Engine;
  let encode: (question: string) => number[];
  beforeAll(async () => {
    const folder = loadModelFolder(DEMO);
    session = await openModel(folder, { numThreads: 1 });
    engine = soloEngine(session, await measuredChooser(session, 16, 1));
    encode = (content) => folder.tokenizer!.encodeChat([{ role: 'user', content }]);
  });
  afterAll(async () => {
    engine.dispose();
    await session.dispose();
  });

  async function decode(
    question: string,
    decoder: Decoder,
    sampling: Sampling,
  ): Promise<{ tokenIds: number[]; numPasses: number }> {
    const tokenIds: number[] = [];
    let numPasses = 0;
    const options = { promptIds: encode(question), maxTokens: 40, decoder, sampling, stopTokenIds: [] };
    for await (const event of generate(engine, options)) {
      if (event.type === 'end') break;
      tokenIds.push(...event.tokenIds);
      numPasses += 1;
    }
    return { tokenIds, numPasses };
  }

  it('answers a held-out question by the tokens of plain decoding at every draft length from 1 to 16 and by every plan, in fewer forward passes', async () => {
    const [first] = JSON.parse(readFileSync(QUESTIONS, 'utf8')) as { question: string }[];
    const expected = await decode(first!.question, { type: 'ar' }, GREEDY);
    for (const decoder of [...DRAFT_LENGTHS.map(dense), ...PLAN_NAMES.map(planned)]) {
      const { tokenIds, numPasses } = await decode(first!.question, decoder, GREEDY);
      expect(tokenIds).toEqual(expected.tokenIds);
      const mustBeFaster = decoder.type === 'tidar' && decoder.plan !== 'auto' && decoder.draftLength >= 4;
      if (mustBeFaster) expect(numPasses).toBeLessThan(expected.numPasses);
    }
  });

  it('tells another story for each of ten seeds at temperature 0.8, each the one of plain decoding whatever the draft length and plan', async () => {
    const stories = new Set<string>();
    for (let index = 0; index < NUM_SEEDS; index++) {
      const seed = (BigInt(index) * 0x9e37_79b9_7f4a_7c15n) % (1n << 64n);
      const sampling = { ...GREEDY, temperature: 0.8, seed };
      const expected = await decode(OPEN_QUESTION, { type: 'ar' }, sampling);
      stories.add(expected.tokenIds.join());
      for (const decoder of [...DRAFT_LENGTHS.map(dense), ...PLAN_NAMES.map(planned)]) {
        const { tokenIds } = await decode(OPEN_QUESTION, decoder, sampling);
        expect(tokenIds).toEqual(expected.tokenIds);
      }
    }
    expect(stories.size).toBe(NUM_SEEDS);
  }, 240_000);
});
