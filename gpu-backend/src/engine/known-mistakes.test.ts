import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ForwardRows, ModelSession } from '../device/device.ts';
import { attentionMask, layOut } from './layout.ts';
import type { Layout } from './layout.ts';
import { ar, assertPlan, dense, fitPlan } from './plan.ts';
import { step } from './step.ts';
import { makeSequence, openFixture, recording } from './testing.ts';
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
  return layOut(dense(K), state, { maskTokenId: 47, readFirstMasks: true });
}

function forwardRows(layout: Layout, mask = attentionMask(layout, CAPACITY)): ForwardRows {
  const { tokenIds, positions, writeIndex, logitRows } = layout;
  return { tokenIds, positions, writeIndex, mask, logitRows };
}

/** All logits of block `accepted` of a dense step. */
async function blockLogits(accepted: number, rows: ForwardRows): Promise<Float32Array> {
  const cache = session.createCache(CAPACITY);
  const logits = await session.run(cache, rows);
  const { vocabSize } = session.config;
  const start = K + (accepted - 1) * K; // logit rows: the k draft rows, then k masks for each block
  return logits.slice(start * vocabSize, (start + K) * vocabSize);
}

/** Every run of a dense decode, and the tokens that each decided. */
async function decodeDense(draftLength: number): Promise<{ runs: RecordedRun[]; decided: number[][] }> {
  const recorded = recording(session);
  const sequence = makeSequence(session);
  const decided: number[][] = [];
  while (sequence.finishReason === undefined) {
    const { drafts, numRemainingTokens } = sequence;
    const limits = { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions: Infinity };
    const result = await step(recorded.session, sequence, fitPlan(dense(draftLength), limits));
    decided.push(result.tokenIds);
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
      const layout = layOut(dense(k), state, { maskTokenId: 47, readFirstMasks: false });
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
      expect(runs[index]!.rows.tokenIds[0]).toBe(decided[index - 1]!.at(-1));
    }
  });

  it('no mask’s or rejected draft’s columns are kept, and no token is computed into the cache twice', async () => {
    const { runs, decided } = await decodeDense(4);
    const numPromptTokens = runs[1]!.rows.writeIndex;
    let numTokens = numPromptTokens;
    expect(runs[0]!.rows.writeIndex).toBe(0);
    for (let index = 1; index < runs.length; index++) {
      expect(runs[index]!.rows.writeIndex).toBe(numTokens);
      numTokens += decided[index]!.length;
    }
    const text = decided.flat();
    expect(numTokens - numPromptTokens).toBe(text.length - 1);
  });

  it('a token after the end is neither decided nor kept, though it was drafted and right', async () => {
    const { decided } = await decodeDense(4);
    const run = decided.find((tokenIds) => tokenIds.length === 4)!;
    const sequence = makeSequence(session, { stopTokenIds: new Set([run[1]!]) });
    while (sequence.finishReason === undefined) {
      const numDraftRows = 1 + sequence.drafts.length;
      await step(
        session,
        sequence,
        fitPlan(dense(4), { numDraftRows, numRemainingTokens: 99, numPositions: 99 }),
      );
    }
    const text = decided.flat();
    const end = text.indexOf(run[1]!);
    expect(sequence.tokenIds.slice(sequence.numPromptTokens)).toEqual(text.slice(0, end + 1));
    expect(sequence.numCommitted).toBe(sequence.numPromptTokens + end);
    expect(sequence.finishReason).toBe('stop');
  });

  it('plain decoding runs two rows, one of them scratch that nothing sees', () => {
    const state = { numCommitted: 5, pendingTokenIds: [8], draftTokenIds: [] };
    const layout = layOut(ar(), state, { maskTokenId: -1, readFirstMasks: false });
    expect(layout.numRows).toBe(2);
    expect(layout.logitRows.length).toBe(2);
    const mask = attentionMask(layout, 8);
    expect([...mask]).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
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
