import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { loadModelFolder } from '../model/folder.ts';
import { attentionMask, layOut } from './layout.ts';
import { dense } from './plan.ts';
import { Alone } from './testing.ts';

interface Expected {
  prompt: number[];
  draftLength: number;
  greedy: number[];
  steps: { drafts: number[]; accepted: number }[];
  step: { prefix: number[]; drafts: number[]; rows: number[]; positions: number[]; mask: number[][] };
}

describe.each(['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'])(
  'the golden trace of %s',
  (name) => {
    const path = new URL(`../../../test/fixtures/${name}/`, import.meta.url).pathname;
    const expected = JSON.parse(readFileSync(`${path}expected.json`, 'utf8')) as Expected;
    let session: ModelSession;
    beforeAll(async () => {
      session = await openModel(loadModelFolder(path), { numThreads: 1 });
    });
    afterAll(() => session.dispose());

    it('lays out the rows, positions and mask of one step', () => {
      const { prefix, drafts, rows, positions, mask } = expected.step;
      const state = {
        numCommitted: prefix.length,
        pendingTokenIds: drafts.slice(0, 1),
        draftTokenIds: drafts.slice(1),
      };
      const options = {
        maskTokenId: session.config.tidar?.maskTokenId ?? -1,
        readFirstMasks: false,
        readPendingRows: false,
      };
      const layout = layOut(dense(expected.draftLength), state, options);
      expect([...layout.tokenIds]).toEqual(rows);
      expect([...layout.positions]).toEqual(positions);
      expect([...attentionMask(layout, prefix.length + rows.length)]).toEqual(mask.flat());
    });

    it('is decoded with the same drafts and accepted counts at every step', async () => {
      const { prompt, draftLength, greedy, steps } = expected;
      const alone = new Alone(session, { promptIds: prompt, maxTokens: greedy.length + 2 * draftLength });
      const { sequence } = alone;
      await alone.step({ numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens: draftLength }] });
      for (const { drafts, accepted } of steps) {
        expect([sequence.tokenIds.at(-1), ...sequence.draftTokenIds]).toEqual(drafts);
        const result = await alone.step(dense(draftLength));
        expect(result.tokenIds).toHaveLength(accepted);
      }
      expect(sequence.tokenIds.slice(prompt.length, prompt.length + greedy.length)).toEqual(greedy);
    });
  },
);
