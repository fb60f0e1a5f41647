import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import type { Engine } from '../engine/engine.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import { GREEDY } from '../engine/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import { generate } from './generate.ts';
import type { Decoder } from './decoder.ts';
import { soloEngine } from './solo-engine.ts';

const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));
const QUESTIONS = fileURLToPath(new URL('../../../test/fixtures/questions.json', import.meta.url));

describe('the demo model, on a held-out question', () => {
  let session: ModelSession;
  let engine: Engine;
  let promptIds: number[];
  beforeAll(async () => {
    const folder = loadModelFolder(DEMO);
    session = await openModel(folder, { numThreads: 1 });
    engine = soloEngine(session);
    const [first] = JSON.parse(readFileSync(QUESTIONS, 'utf8')) as { question: string }[];
    promptIds = folder.tokenizer!.encodeChat([{ role: 'user', content: first!.question }]);
  });
  afterAll(() => session.dispose());

  async function decode(
    decoder: Decoder,
    sampling: Sampling,
  ): Promise<{ tokenIds: number[]; numPasses: number }> {
    const tokenIds: number[] = [];
    let numPasses = 0;
    for await (const event of generate(engine, {
      promptIds,
      maxTokens: 48,
      decoder,
      sampling,
      stopTokenIds: [],
    })) {
      if (event.type === 'end') break;
      tokenIds.push(...event.tokenIds);
      numPasses += 1;
    }
    return { tokenIds, numPasses };
  }

  it('gives the tokens of plain decoding at every draft length from 1 to 16, in fewer forward passes', async () => {
    const expected = await decode({ type: 'ar' }, GREEDY);
    for (let draftLength = 1; draftLength <= 16; draftLength++) {
      const { tokenIds, numPasses } = await decode(
        { type: 'tidar', plan: 'dense', draftLength, beta: 1 },
        GREEDY,
      );
      expect(tokenIds).toEqual(expected.tokenIds);
      if (draftLength >= 4) expect(numPasses).toBeLessThan(expected.numPasses);
    }
  });

  it('gives the tokens of plain decoding for ten seeds at temperature 0.8, at every draft length', async () => {
    for (let index = 0; index < 10; index++) {
      const sampling = {
        ...GREEDY,
        temperature: 0.8,
        seed: (BigInt(index) * 0x9e37_79b9_7f4a_7c15n) % (1n << 64n),
      };
      const expected = await decode({ type: 'ar' }, sampling);
      for (let draftLength = 1; draftLength <= 16; draftLength++) {
        const { tokenIds } = await decode({ type: 'tidar', plan: 'dense', draftLength, beta: 1 }, sampling);
        expect(tokenIds).toEqual(expected.tokenIds);
      }
    }
  });
});
