import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { loadModelFolder } from '../model/folder.ts';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from './device.ts';
import { DEVICES, openModel } from './open.ts';
import type { SlotRows } from './testing.ts';
import { batchOf, cacheTensors, causalRows, idleSlot, tokensOf } from './testing.ts';

const CAPACITY = 64;
const FIXTURES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'] as const;
const folderOf = (name: string) => loadModelFolder(`test/fixtures/${name}`);

/** A copy of what the next run overwrites: all rows' logits, bit by bit. */
function rowsOf(output: ForwardOutput, batch: ForwardBatch): number[][] {
  return Array.from({ length: batch.numLogitRows }, (_, index) => [...output.logits(index)]);
}

async function logitsOf(session: ModelSession, cache: KvCache, slots: SlotRows[], changes = {}) {
  const batch = batchOf(cache.capacity, slots, changes);
  return rowsOf(await session.run(cache, batch), batch);
}

/** Logits of the last of several passes, each with the same slots' rows. */
async function lastLogits(session: ModelSession, cache: KvCache, passes: SlotRows[][], changes = {}) {
  let last: number[][] = [];
  for (const slots of passes) last = await logitsOf(session, cache, slots, changes);
  return last;
}

/** Scratch is whatever no row has written: a run must not care. */
function soil(cache: KvCache): void {
  cacheTensors(cache).forEach((tensor, index) => {
    tensor.forEach((_, at) => (tensor[at] = (at + index) % 2 === 0 ? 1e4 : -1e4));
  });
}

/** A prefix, then rows like a step's: two drafts and a block of masks that see each other and the prefix. */
function stepRows(numPrefix: number, numMasks: number, seed = 0): SlotRows {
  const drafts = tokensOf(2, seed + 5);
  const prefix = new Array<number>(numPrefix).fill(1);
  return {
    tokenIds: [...drafts, ...new Array<number>(numMasks).fill(47)],
    positions: [0, 1, ...Array.from({ length: numMasks }, (_, mask) => mask + 1)].map((at) => numPrefix + at),
    writeIndex: numPrefix,
    mask: [
      [...prefix, 1],
      [...prefix, 1, 1],
      ...Array.from({ length: numMasks }, () => [...prefix, 1, 0, ...new Array<number>(numMasks).fill(1)]),
    ],
  };
}

const prefixAndStep = (numPrefix: number, numMasks: number, seed: number): [SlotRows, SlotRows] => [
  causalRows(tokensOf(numPrefix, seed)),
  stepRows(numPrefix, numMasks, seed),
];

describe.each(FIXTURES.flatMap((name) => DEVICES.map((device) => ({ name, device }))))(
  '$name on $device',
  ({ name, device }) => {
    let session: ModelSession;
    beforeAll(async () => {
      const folder = folderOf(name);
      session = await openModel(folder, { numThreads: 1, device });
    });
    afterAll(() => session.dispose());

    /** A sequence alone in a cache of its own: what every other arrangement must equal. */
    async function alone(passes: readonly SlotRows[]): Promise<number[][]> {
      const cache = session.createCache(1, CAPACITY);
      const logits = await lastLogits(
        session,
        cache,
        passes.map((rows) => [rows]),
      );
      cache.dispose();
      return logits;
    }

    it('computes the same bits for a sequence in any batch, slot, capacity and padding, with soiled scratch', async () => {
      const arbitrary = fc.record({
        slots: fc.array(
          fc.record({ numPrefix: fc.integer({ min: 2, max: 20 }), numMasks: fc.integer({ min: 0, max: 9 }) }),
          { minLength: 1, maxLength: 4 },
        ),
        isIdle: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        capacity: fc.constantFrom(40, 64, 100),
        numSpareSlots: fc.integer({ min: 0, max: 2 }),
        padding: fc.integer({ min: 0, max: 5 }),
      });
      await fc.assert(
        fc.asyncProperty(arbitrary, async ({ slots, isIdle, capacity, numSpareSlots, padding }) => {
          const sequences = slots.map(({ numPrefix, numMasks }, seed) =>
            prefixAndStep(numPrefix, numMasks, seed),
          );
          const cache = session.createCache(slots.length + numSpareSlots, capacity);
          soil(cache);
          // Prefixes one after the other, then all steps at once, but for the slots that are idle then.
          for (let slot = 0; slot < slots.length; slot += 1) {
            const pass = sequences.map(([prefix], at) => (at === slot ? prefix : idleSlot(capacity - 20)));
            await logitsOf(session, cache, pass);
          }
          const busy = sequences.map(([, step], slot) =>
            isIdle[slot] === true && slot > 0 ? undefined : step,
          );
          const most = Math.max(...busy.map((rows) => rows?.tokenIds.length ?? 0));
          const numPaddedRows = most + padding;
          const pass = busy.map((rows) => rows ?? idleSlot(capacity - numPaddedRows));
          const found = await logitsOf(session, cache, pass, { numPaddedRows });
          cache.dispose();
          const expected: number[][] = [];
          for (let slot = 0; slot < slots.length; slot += 1) {
            if (busy[slot] !== undefined) expected.push(...(await alone(sequences[slot]!)));
          }
          expect(found).toEqual(expected);
        }),
        { numRuns: 15 },
      );
    });

    it('computes the same bits whichever rows run together', async () => {
      const tokens = tokensOf(30);
      const cache = session.createCache(1, CAPACITY);
      const whole = await logitsOf(session, cache, [causalRows(tokens)]);
      for (const numRows of [2, 3, 5, 11, 17]) {
        const found: number[][] = [];
        for (let start = 0; start + numRows <= tokens.length; start += numRows) {
          found.push(
            ...(await logitsOf(session, cache, [causalRows(tokens.slice(start, start + numRows), start)])),
          );
        }
        expect(found).toEqual(whole.slice(0, found.length));
      }
      cache.dispose();
    });

    it('writes only the columns of the rows, in the slots that take part', async () => {
      const cache = session.createCache(3, CAPACITY);
      soil(cache);
      const before = cacheTensors(cache).map((tensor) => Float32Array.from(tensor));
      await logitsOf(session, cache, [causalRows(tokensOf(5), 0), idleSlot(30)]);
      const { numKeyValueHeads, headDim } = session.config;
      const isWritten = (at: number): boolean => {
        const slot = Math.floor(at / (numKeyValueHeads * CAPACITY * headDim));
        const column = Math.floor(at / headDim) % CAPACITY;
        return (slot === 0 && column < 5) || (slot === 1 && column >= 30 && column < 35);
      };
      const changed = cacheTensors(cache).map((tensor, index) =>
        [...tensor.keys()].filter((at) => tensor[at] !== before[index]![at]),
      );
      expect(changed.flat().length).toBeGreaterThan(0);
      expect(changed.flat().filter((at) => !isWritten(at))).toEqual([]);
      cache.dispose();
    });

    it('goes on with the same bits after columns are copied, saved and restored, within and between caches', async () => {
      const [prefix, step] = prefixAndStep(12, 4, 1);
      const expected = await alone([prefix, step]);
      const small = session.createCache(2, 24);
      await logitsOf(session, small, [idleSlot(0), prefix]);
      const large = session.createCache(3, 80);
      soil(large);
      small.copyColumns(1, { start: 0, end: 12 }, large, 2);
      large.copyColumns(2, { start: 0, end: 12 }, large, 0);
      expect(await logitsOf(session, large, [step])).toEqual(expected);
      const saved = small.save(1, { start: 2, end: 12 });
      expect(saved.numColumns).toBe(10);
      expect(saved.numBytes).toBe(10 * session.numBytesPerColumn);
      const restored = session.createCache(1, 48);
      soil(restored);
      small.copyColumns(1, { start: 0, end: 5 }, restored, 0);
      restored.restore(0, 5, saved, { start: 3, end: 10 });
      small.dispose();
      expect(await logitsOf(session, restored, [step])).toEqual(expected);
      for (const owned of [large, restored, saved]) owned.dispose();
    });

    it('starts from zeros, and says how much memory a cache takes', () => {
      const cache = session.createCache(2, CAPACITY);
      const tensors = cacheTensors(cache);
      expect(tensors.every((tensor) => tensor.every((value) => value === 0))).toBe(true);
      expect(tensors.reduce((bytes, tensor) => bytes + tensor.byteLength, 0)).toBe(cache.numBytes);
      expect(cache.numBytes).toBe(2 * CAPACITY * session.numBytesPerColumn);
      cache.dispose();
      expect(() => cache.save(0, { start: 0, end: 1 })).toThrow(/disposed/);
    });
  },
);

describe.each(FIXTURES)('%s', (name) => {
  it('computes the same bits on every device', async () => {
    const found: unknown[] = [];
    for (const device of DEVICES) {
      const session = await openModel(folderOf(name), { numThreads: 1, device, candidates: true });
      const cache = session.createCache(2, CAPACITY);
      const [first, second] = [prefixAndStep(9, 4, 1), prefixAndStep(14, 7, 2)];
      await logitsOf(session, cache, [first[0], second[0]]);
      const batch = batchOf(CAPACITY, [first[1], second[1]], { numCandidates: 6 });
      const output = await session.run(cache, batch);
      found.push({
        logits: rowsOf(output, batch),
        candidates: rowsOf(output, batch).map((_, index) => {
          const { scores, tokenIds, logSumExp } = output.candidates(index)!;
          return [...scores, ...tokenIds, logSumExp];
        }),
        cache: cacheTensors(cache).map((tensor) => [...tensor]),
      });
      cache.dispose();
      await session.dispose();
    }
    expect(found.length).toBeGreaterThan(1);
    for (const other of found) expect(other).toEqual(found[0]);
  });
});
