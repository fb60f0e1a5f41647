import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ForwardBatch, ModelSession } from '../device/device.ts';
import { attentionMask, layOut } from './layout.ts';
import type { Layout } from './layout.ts';
import { ar, assertPlan, dense, fitPlan } from './plan.ts';
import { BatchPacker } from './batch.ts';
import { Alone, openFixture, recording } from './testing.ts';
import type { RecordedRun } from './testing.ts';

// Each of these is an error that some implementation of TiDAR was published with.

const PREFIX = [7, 28, 6, 22];
const DRAFTS = [26, 42, 31, 17];
const K = DRAFTS.length;
const CAPACITY = 64;

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('llama-tidar');
});
afterAll(() => session.dispose());

function layOutDense(drafts: readonly number[]): Layout {
  const state = {
    numCommitted: 0,
    pendingTokenIds: [...PREFIX, ...drafts.slice(0, 1)],
    draftTokenIds: drafts.slice(1),
  };
  return layOut(dense(K), state, { maskTokenId: 47, readFirstMasks: true, readPendingRows: false });
}

function forwardRows(layout: Layout, mask = attentionMask(layout, CAPACITY)): ForwardBatch {
  return { ...new BatchPacker().pack([{ numCommitted: 0, layout }], CAPACITY, 0), mask };
}

/** All logits of block `accepted` of a dense step. */
async function blockLogits(accepted: number, rows: ForwardBatch): Promise<number[][]> {
  const cache = session.createCache(1, CAPACITY);
  const output = await session.run(cache, rows);
  const start = K + (accepted - 1) * K; // logit rows: the k draft rows, then k masks for each block
  const logits = Array.from({ length: K }, (_, row) => [...output.logits(start + row)]);
  cache.dispose();
  return logits;
}

/** Every run of a dense decode, and the tokens that each decided. */
async function decodeDense(draftLength: number): Promise<{ runs: RecordedRun[]; decided: number[][] }> {
  const recorded = recording(session);
  const alone = new Alone(recorded.session);
  const decided: number[][] = [];
  while (alone.sequence.finishReason === undefined) {
    const { drafts, numRemainingTokens } = alone.sequence;
    const limits = { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions: Infinity };
    decided.push((await alone.step(fitPlan(dense(draftLength), limits))).tokenIds);
  }
  return { runs: recorded.runs, decided };
}

describe('mistakes that others made', () => {
  it('a mask block does not see the drafts after those that its outcome accepts', async () => {
    for (let accepted = 1; accepted <= K; accepted++) {
      const expected = await blockLogits(accepted, forwardRows(layOutDense(DRAFTS)));
      for (let draft = 0; draft < K; draft++) {
        const changed = DRAFTS.map((id, at) => (at === draft ? id + 1 : id));
        const logits = await blockLogits(accepted, forwardRows(layOutDense(changed)));
        if (draft >= accepted) expect(logits).toEqual(expected);
        else expect(logits).not.toEqual(expected);
      }
    }
  });

  it('the mask reaches the attention kernel: rows that see everything compute something else', async () => {
    const layout = layOutDense(DRAFTS);
    const everything = new Uint8Array(layout.numRows * CAPACITY);
    for (let row = 0; row < layout.numRows; row++)
      everything.fill(1, row * CAPACITY, row * CAPACITY + layout.numRows);
    for (let accepted = 1; accepted <= K; accepted++) {
      expect(await blockLogits(accepted, forwardRows(layout, everything))).not.toEqual(
        await blockLogits(accepted, forwardRows(layout)),
      );
    }
  });

  it('there is no block for 0 accepted: k drafts and k blocks of k masks, k·(1+k) rows', () => {
    for (let k = 1; k <= 16; k++) {
      const state = {
        numCommitted: 9,
        pendingTokenIds: [1],
        draftTokenIds: new Array<number>(k - 1).fill(3),
      };
      const layout = layOut(dense(k), state, {
        maskTokenId: 47,
        readFirstMasks: false,
        readPendingRows: false,
      });
      expect(layout.numRows).toBe(k * (1 + k));
    }
    const none = { numDraftRows: 1, outcomes: [{ accepted: 0, numMaskTokens: 4 }] };
    expect(() => assertPlan(none, [])).toThrowError('outcome (0, none)');
  });

  it('positions overlap: block j starts where its first unknown token stands, also under j’s neighbours', () => {
    const { positions } = layOutDense(DRAFTS);
    const start = PREFIX.length;
    const blocks = [1, 2, 3, 4].flatMap((j) => [0, 1, 2, 3].map((mask) => start + j + mask));
    expect([...positions]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, ...blocks]);
  });

  it('draft row 1 of every step is the token that the step before decided last', async () => {
    const { runs, decided } = await decodeDense(4);
    for (let index = 1; index < runs.length; index++) {
      expect(runs[index]!.tokenIds[0]).toBe(decided[index - 1]!.at(-1));
    }
  });

  it('no mask’s or rejected draft’s columns are kept, and no token is computed into the cache twice', async () => {
    const { runs, decided } = await decodeDense(4);
    const numPromptTokens = runs[1]!.writeIndexes[0]!;
    let numTokens = numPromptTokens;
    expect(runs[0]!.writeIndexes[0]).toBe(0);
    for (let index = 1; index < runs.length; index++) {
      expect(runs[index]!.writeIndexes[0]).toBe(numTokens);
      numTokens += decided[index]!.length;
    }
    const text = decided.flat();
    expect(numTokens - numPromptTokens).toBe(text.length - 1);
  });

  it('a token after the end is neither decided nor kept, though it was drafted and right', async () => {
    const { decided } = await decodeDense(4);
    const run = decided.find((tokenIds) => tokenIds.length === 4)!;
    const alone = new Alone(session, { stopTokenIds: new Set([run[1]!]) });
    const { sequence } = alone;
    await alone.decode(({ drafts }) =>
      fitPlan(dense(4), { numDraftRows: 1 + drafts.length, numRemainingTokens: 99, numPositions: 99 }),
    );
    const text = decided.flat();
    const end = text.indexOf(run[1]!);
    expect(sequence.tokenIds.slice(sequence.numPromptTokens)).toEqual(text.slice(0, end + 1));
    expect(sequence.numCommitted).toBe(sequence.numPromptTokens + end);
    expect(sequence.finishReason).toBe('stop');
  });

  it('plain decoding runs two rows, one of them scratch that nothing sees', () => {
    const state = { numCommitted: 5, pendingTokenIds: [8], draftTokenIds: [] };
    const options = { maskTokenId: -1, readFirstMasks: false, readPendingRows: false };
    const layout = layOut(ar(), state, options);
    expect(layout.numRows).toBe(1);
    const batch = new BatchPacker().pack([{ numCommitted: 5, layout }], 8, 0);
    expect([batch.numRows, batch.numPaddedRows, batch.numLogitRows]).toEqual([2, 2, 2]);
    expect([...batch.mask.subarray(0, 16)]).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  });

  it.each([1, 2, 3, 8, 16])(
    'draft length %i, not the trained 4, still drafts: measured, not assumed',
    async (k) => {
      const { runs, decided } = await decodeDense(k);
      const tokensPerForward = (decided.flat().length - 1) / (runs.length - 1);
      if (k === 1) expect(tokensPerForward).toBe(1);
      else expect(tokensPerForward).toBeGreaterThan(1.3);
      expect(tokensPerForward).toBeLessThanOrEqual(k);
    },
  );
});
