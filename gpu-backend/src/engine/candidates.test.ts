import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../../../test/support/open-question.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { loadModelFolder } from '../model/folder.ts';
import { ar, dense, fitPlan } from './plan.ts';
import type { Sampling } from './sampling/settings.ts';
import { Alone, sampled } from './testing.ts';

const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));

describe('a model whose rows leave the graph as candidates', () => {
  let whole: ModelSession;
  let few: ModelSession;
  let promptIds: number[];
  beforeAll(async () => {
    const folder = loadModelFolder(DEMO);
    whole = await openModel(folder, { numThreads: 1, candidates: false });
    few = await openModel(folder, { numThreads: 1, candidates: true });
    promptIds = folder.tokenizer!.encodeChat([{ role: 'user', content: OPEN_QUESTION }]);
  });
  afterAll(async () => {
    await whole.dispose();
    await few.dispose();
  });

  function decode(session: ModelSession, sampling: Sampling, draftLength: number): Promise<number[]> {
    return new Alone(session, { promptIds, sampling, maxTokens: 32 }).decode(
      ({ drafts, numRemainingTokens }) => {
        if (draftLength === 0) return ar();
        const limits = { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions: Infinity };
        return fitPlan(dense(draftLength), limits);
      },
    );
  }

  it('gives the text of whole rows, plain and drafted, whatever the sampling', async () => {
    expect([few.maxCandidates, whole.maxCandidates]).toEqual([256, 0]);
    const texts = new Set<string>();
    for (const sampling of [
      sampled({}),
      sampled({ frequencyPenalty: 1.5, presencePenalty: 0.5 }),
      ...[1n, 2n].flatMap((seed) => [
        sampled({ temperature: 0.8, seed }),
        sampled({ temperature: 1.8, seed }),
        sampled({ temperature: 1.5, topP: 0.9, seed }),
        sampled({ temperature: 1.5, topK: 30, minP: 0.01, seed }),
        sampled({ temperature: 1, repetitionPenalty: 1.3, logitBias: [[900, 8]], seed }),
      ]),
    ]) {
      const expected = await decode(whole, sampling, 0);
      for (const draftLength of [0, 7]) expect(await decode(few, sampling, draftLength)).toEqual(expected);
      texts.add(expected.join());
    }
    expect(texts.size).toBeGreaterThan(6);
  });
});
