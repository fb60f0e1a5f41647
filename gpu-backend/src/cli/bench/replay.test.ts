import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { ForwardBatch, ForwardOutput, ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { constantTrace, demoTrace, denseTokensPerForward, encodeOutcome } from './acceptance-trace.ts';
import { isHit, isSecondHit, marginOf, MAX_MARGIN, outcomeAt } from './acceptance-trace.ts';
import { traceFromJson, traceToJson } from './acceptance-trace.ts';
import { engineDecoder } from './decode-ours.ts';
import { questionPrompts, recordAcceptance } from './record-acceptance.ts';
import { ReplaySession, replayPrompt, replayText } from './replay.ts';
import { makeShape } from './shapes.ts';

const SHAPE = {
  hiddenSize: 32,
  numLayers: 1,
  numHeads: 2,
  numKeyValueHeads: 1,
  intermediateSize: 48,
  vocabSize: 1024,
  blockSize: 16,
};
const MASK = SHAPE.vocabSize - 1;
const CAPACITY = 64;

async function openShape(candidates: boolean): Promise<ModelSession> {
  const path = join(temporaryFolder(), 'shape');
  makeShape(path, SHAPE, 1);
  return openModel(loadModelFolder(path), { numThreads: 1, candidates });
}

interface Row {
  readonly tokenId: number;
  readonly position: number;
  /** Rows of its slot that it sees: [from, end). */
  readonly sees: readonly [from: number, end: number];
}
const causal = (tokenIds: readonly number[], position: number): Row[] =>
  tokenIds.map((tokenId, row) => ({ tokenId, position: position + row, sees: [0, row + 1] }));
const block = (position: number, numMasks: number, firstRow: number): Row[] =>
  Array.from({ length: numMasks }, (_, at) => ({
    tokenId: MASK,
    position: position + at,
    sees: [firstRow, firstRow + numMasks],
  }));

/** Rows of several slots whose prefixes end at the same column; all rows' logits are read. */
function batchOf(slots: readonly Row[][], numCandidates = 0): ForwardBatch {
  const rows = slots.flat();
  const numPaddedRows = Math.max(2, ...slots.map((slot) => slot.length));
  const mask = new Uint8Array(slots.length * numPaddedRows * CAPACITY);
  slots.forEach((slot, index) => {
    for (let row = 0; row < numPaddedRows; row++) {
      const [from, end] = slot[row]?.sees ?? [row, row + 1];
      mask.fill(
        1,
        (index * numPaddedRows + row) * CAPACITY + from,
        (index * numPaddedRows + row) * CAPACITY + end,
      );
    }
  });
  return {
    numSlots: slots.length,
    numRows: rows.length,
    numPaddedRows,
    tokenIds: Int32Array.from(rows, (row) => row.tokenId),
    positions: Int32Array.from(rows, (row) => row.position),
    rowStarts: Int32Array.from([0, ...slots.map((_, index) => slots.slice(0, index + 1).flat().length)]),
    writeIndexes: new Int32Array(slots.length),
    mask,
    numLogitRows: rows.length,
    logitRows: Int32Array.from(rows, (_, row) => row),
    numCandidates,
  };
}

function topTwo(row: Float32Array): number[] {
  return [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, 2);
}

describe('replayed acceptance', () => {
  it('gives every causal row the stream’s text, whatever token it holds', async () => {
    const inner = await openShape(false);
    const session = new ReplaySession(inner, demoTrace());
    const cache = session.createCache(2, CAPACITY);
    const prompts = [replayPrompt(inner.config, 3, 5), replayPrompt(inner.config, 11, 4)];
    const output = await session.run(cache, batchOf(prompts.map((prompt) => causal(prompt, 0))));
    expect(topTwo(output.logits(4))[0]).toBe(replayText(inner.config, 3, 5, 1)[0]);
    expect(topTwo(output.logits(8))[0]).toBe(replayText(inner.config, 11, 4, 1)[0]);
    const wrongDraft = causal([replayText(inner.config, 3, 5, 1)[0]!, prompts[0]![0]!], 5);
    const next = await session.run(cache, batchOf([wrongDraft, []]));
    expect([0, 1].map((row) => topTwo(next.logits(row))[0])).toEqual(replayText(inner.config, 3, 6, 2));
    await session.dispose();
  });

  it('lets masks hit, miss and hesitate as recorded, by their block’s start and their depth only', async () => {
    const inner = await openShape(false);
    const trace = demoTrace();
    const session = new ReplaySession(inner, trace);
    const cache = session.createCache(1, CAPACITY);
    const layout = fc.record({
      stream: fc.nat(63),
      first: fc.nat(2000),
      lengths: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(layout, async ({ stream, first, lengths }) => {
        const text = (position: number): number => replayText(inner.config, stream, position, 1)[0]!;
        const rows = causal([text(first), text(first + 1)], first);
        let position = first + 1;
        const expected: { row: number; start: number; depth: number }[] = [];
        for (const length of lengths) {
          // Blocks of one mask, or one that starts where the last one ended, have consecutive positions.
          const masks = block(position, length, rows.length);
          masks.forEach((_, depth) => expected.push({ row: rows.length + depth, start: position, depth }));
          rows.push(...masks);
          position += length;
        }
        const output = await session.run(cache, batchOf([rows]));
        for (const { row, start, depth } of expected) {
          const logits = output.logits(row);
          const [best, second] = topTwo(logits);
          const outcome = outcomeAt(trace, start, depth);
          expect(best === text(start + depth)).toBe(isHit(outcome));
          expect(second === text(start + depth)).toBe(isSecondHit(outcome) && !isHit(outcome));
          expect(logits[best!]! - logits[second!]!).toBeCloseTo(Math.max(1 / 128, marginOf(outcome)), 3);
        }
      }),
      { numRuns: 60 },
    );
    await session.dispose();
  });

  it('starts a block after its correction, which predicts the next token', async () => {
    const inner = await openShape(false);
    const trace = demoTrace();
    const session = new ReplaySession(inner, trace);
    const cache = session.createCache(1, CAPACITY);
    for (let first = 20; first < 60; first++) {
      const text = (position: number): number => replayText(inner.config, 5, position, 1)[0]!;
      const correction = { tokenId: text(first + 1), position: first + 1, sees: [1, 2] } as const;
      const rows = [...causal([text(first)], first), correction, ...block(first + 2, 4, 1)];
      const output = await session.run(cache, batchOf([rows]));
      expect(topTwo(output.logits(1))[0]).toBe(text(first + 2));
      for (const depth of [0, 1, 2, 3])
        expect(topTwo(output.logits(2 + depth))[0] === text(first + 2 + depth)).toBe(
          isHit(outcomeAt(trace, first + 2, depth)),
        );
    }
    await session.dispose();
  });

  it('changes nothing of a row but its two winners, in candidates as in whole rows', async () => {
    const inner = await openShape(true);
    const session = new ReplaySession(inner, constantTrace(true));
    const cache = session.createCache(1, CAPACITY);
    const rows = [...causal(replayPrompt(inner.config, 9, 3), 0), ...block(3, 5, 3)];
    const read = (output: ForwardOutput) =>
      rows.map((_, row) => ({ logits: output.logits(row).slice(), candidates: output.candidates(row)! }));
    const plain = read(await inner.run(cache, batchOf([rows], 16)));
    plain.forEach((one) => Object.assign(one, { candidates: structuredClone(one.candidates) }));
    const replayed = read(await session.run(cache, batchOf([rows], 16)));
    replayed.forEach(({ logits, candidates }, row) => {
      const [best, second] = topTwo(logits);
      const changed = [...logits.keys()].filter((id) => logits[id] !== plain[row]!.logits[id]);
      expect(new Set(changed)).toEqual(new Set([best, second]));
      expect([...candidates.tokenIds.slice(0, 2)]).toEqual([best, second]);
      expect([...candidates.scores]).toEqual([...candidates.tokenIds].map((id) => logits[id]));
      const others = [...plain[row]!.candidates.tokenIds].filter((id) => id !== best && id !== second);
      expect([...candidates.tokenIds.slice(2)]).toEqual(others.slice(0, 14));
      const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[best!]!), 0);
      expect(candidates.logSumExp).toBeCloseTo(logits[best!]! + Math.log(sum), 4);
    });
    await session.dispose();
  });
});

describe('the engine on replayed acceptance', () => {
  it('decodes the stream’s text by any plan, as many tokens a pass as the trace tells', async () => {
    const inner = await openShape(true);
    const trace = demoTrace();
    const session = new ReplaySession(inner, trace);
    const engine = soloEngine(session);
    const streams = [0, 1, 2];
    const prompts = streams.map((stream) => replayPrompt(inner.config, stream, 8));
    const texts = streams.map((stream) => replayText(inner.config, stream, 8, 120));
    let numRuns = 0;
    const run = session.run.bind(session);
    session.run = (...args) => ((numRuns += 1), run(...args));
    const decode = engineDecoder(engine, 120);
    for (const plan of ['dense', 'sparse', 'branches', 'two-pass'] as const) {
      const decoder = { type: 'tidar', plan, draftLength: 4, beta: 1 } as const;
      expect((await decode(prompts, 2, decoder)).tokens).toEqual(texts);
    }
    expect((await decode(prompts, 3, { type: 'ar' })).tokens).toEqual(texts);
    numRuns = 0;
    await decode(prompts.slice(0, 1), 1, { type: 'tidar', plan: 'dense', draftLength: 8, beta: 1 });
    let [numExpected, start] = [1, 8];
    for (; start < 8 + 119; numExpected++) {
      let numDecided = 1;
      while (numDecided < 8 && isHit(outcomeAt(trace, start, numDecided))) numDecided += 1;
      start += numDecided;
    }
    expect(numRuns).toBe(numExpected);
    engine.dispose();
    await session.dispose();
  });
});

describe('an acceptance trace', () => {
  it('keeps hits and runner-up hits, and margins to within a sixteenth of their root', () => {
    const outcome = fc.record({
      isHit: fc.boolean(),
      isSecondHit: fc.boolean(),
      margin: fc.double({ min: 0, max: 2 * MAX_MARGIN, noNaN: true }),
    });
    fc.assert(
      fc.property(outcome, (one) => {
        const code = encodeOutcome(one);
        expect([isHit(code), isSecondHit(code)]).toEqual([one.isHit, one.isSecondHit]);
        const error = Math.sqrt(marginOf(code)) - Math.sqrt(Math.min(one.margin, MAX_MARGIN));
        expect(Math.abs(error)).toBeLessThanOrEqual(1 / 16 + 1e-9);
      }),
    );
    expect(traceFromJson(traceToJson(demoTrace()))).toEqual(demoTrace());
    expect(() => traceFromJson(traceToJson({ ...demoTrace(), numStarts: 3 }))).toThrowError('3 × 16');
  });

  it('tells a dense step’s tokens per forward pass: all drafts or one where the trace is constant', () => {
    expect(denseTokensPerForward(constantTrace(false), 8)).toBe(1);
    expect(denseTokensPerForward({ ...constantTrace(true), numStarts: 1 }, 1)).toBe(1);
    const miss = encodeOutcome({ isHit: false, isSecondHit: true, margin: 1 });
    const hit = encodeOutcome({ isHit: true, isSecondHit: false, margin: 1 });
    const outcomes = Uint8Array.of(hit, hit, miss, hit, miss, hit, hit, hit, hit);
    // From start 0 two tokens, from start 2 two, past the end of the three starts.
    expect(denseTokensPerForward({ source: '', blockSize: 3, numStarts: 3, outcomes }, 3)).toBe(3 / 2);
  });

  it('is what the demo model does today', async () => {
    const folder = loadModelFolder(DEMO_MODEL);
    const session = await openModel(folder, { numThreads: 1 });
    const prompts = questionPrompts(folder, 2);
    const recorded = await recordAcceptance(session, { prompts, maxTokens: 128, blockSize: 16, source: '' });
    await session.dispose();
    const hits = (outcomes: Uint8Array): string => [...outcomes].map((one) => Number(isHit(one))).join('');
    expect(recorded.numStarts).toBeGreaterThan(30);
    expect(hits(recorded.outcomes)).toBe(hits(demoTrace().outcomes.slice(0, recorded.outcomes.length)));
  });
});
