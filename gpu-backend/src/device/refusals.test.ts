import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import type { ForwardBatch, ModelSession } from './device.ts';
import { DEVICES, openModel } from './open.ts';
import { batchOf, causalRows, idleSlot, tokensOf } from './testing.ts';

const CAPACITY = 64;

describe.each(DEVICES)('%s', (device) => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openModel(loadModelFolder('test/fixtures/llama-tidar'), { numThreads: 1, device });
  });
  afterAll(() => session.dispose());

  it.each<[string, Partial<ForwardBatch>, RegExp]>([
    ['one row', oneRow(), /1 rows; one row runs another kernel/],
    ['one padded row', { numPaddedRows: 1 }, /1 padded rows/],
    ['one logit row', { numLogitRows: 1 }, /1 logit rows/],
    ['too many slots', { numSlots: 3 }, /slots 0 to 3 of 2/],
    ['a slot with more rows than are padded', { numPaddedRows: 3 }, /slot 0 has 4 rows of 3/],
    ['row starts that fall', { rowStarts: Int32Array.of(0, 9, 4) }, /slot 0 has 9|fall/],
    ['row starts that end elsewhere', { rowStarts: Int32Array.of(0, 4, 5) }, /end at 5/],
    ['a row past the capacity', { writeIndexes: Int32Array.of(CAPACITY - 3, 0) }, /slot 0 writes columns 61/],
    ['an idle slot past the capacity', { writeIndexes: Int32Array.of(0, 63) }, /slot 1 writes/],
    ['a column below zero', { writeIndexes: Int32Array.of(-1, 0) }, /slot 0 writes columns -1/],
    ['an unknown token', { tokenIds: Int32Array.of(1, 2, 48, 3) }, /token id 48 is outside the vocabulary/],
    ['a position past the model', { positions: Int32Array.of(1, 2, 256, 3) }, /position 256 is outside/],
    ['a logit row past the rows', { logitRows: Int32Array.of(0, 1, 4, 2) }, /logit row 4/],
    ['a short mask', { mask: new Uint8Array(4) }, /4 mask entries, expected 512/],
    ['candidates of a small vocabulary', { numCandidates: 1 }, /1 candidates of at most 0/],
  ])('refuses %s, naming it, and runs on', async (_, changes, message) => {
    const cache = session.createCache(2, CAPACITY);
    const slots = [causalRows(tokensOf(4)), idleSlot(0)];
    const batch = { ...batchOf(CAPACITY, slots), ...changes };
    await expect(session.run(cache, batch)).rejects.toThrow(message);
    await expect(session.run(cache, batchOf(CAPACITY, slots))).resolves.toBeDefined();
    cache.dispose();
  });

  it('refuses columns, slots and caches that are not there', async () => {
    const cache = session.createCache(2, CAPACITY);
    const range = { start: 0, end: 4 };
    expect(() => cache.save(2, range)).toThrow(/slot 2 of 2/);
    expect(() => cache.save(0, { start: 0, end: CAPACITY + 1 })).toThrow(/columns 0 to 65 of 64/);
    expect(() => cache.save(0, { start: 5, end: 4 })).toThrow(/columns 5 to 4/);
    const saved = cache.save(0, range);
    expect(() => cache.restore(0, CAPACITY - 2, saved, range)).toThrow(/columns 62 to 66/);
    expect(() => cache.restore(0, 0, saved, { start: 0, end: 5 })).toThrow(/columns 0 to 5 of 4/);
    saved.dispose();
    expect(() => cache.restore(0, 0, saved, range)).toThrow(/disposed/);
    const other = await openModel(loadModelFolder('test/fixtures/llama-tidar'), { numThreads: 1, device });
    const foreign = other.createCache(1, CAPACITY);
    await expect(session.run(foreign, batchOf(CAPACITY, [causalRows([1, 2])]))).rejects.toThrow(/another/);
    const target = { ...range, end: 2 };
    expect(() => cache.copyColumns(0, target, foreign, 0)).toThrow(/another model/);
    await other.dispose();
  });
});

function oneRow(): Partial<ForwardBatch> {
  return { numRows: 1, rowStarts: Int32Array.of(0, 1, 1) };
}
