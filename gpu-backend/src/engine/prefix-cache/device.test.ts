import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KvCache, ModelSession } from '../../device/device.ts';
import { DEVICES, openModel } from '../../device/open.ts';
import { batchOf, cacheTensors, causalRows, idleSlot } from '../../device/testing.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { PrefixCache } from './prefix-cache.ts';

const NUM_SLOTS = 3;
const FIRST = [7, 28, 6, 22, 26, 42, 31, 17, 26, 5, 11, 9];
/** Leaves the first text after seven tokens. */
const SECOND = [...FIRST.slice(0, 7), 3, 19, 40, 8];

describe.each(DEVICES)('on %s', (device) => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openModel(loadModelFolder('test/fixtures/qwen3-tidar'), { numThreads: 1, device });
  });
  afterAll(() => session.dispose());

  /** A cache whose columns hold what no run would leave there. */
  function dirtyCache(capacity: number): KvCache {
    const cache = session.createCache(NUM_SLOTS, capacity);
    cacheTensors(cache).forEach((tensor, index) => tensor.fill(index % 2 === 0 ? 1e4 : -1e4));
    return cache;
  }

  /** Runs a text's tokens from column `start` on in one slot; returns the logits of its last row. */
  async function prefill(
    cache: KvCache,
    slot: number,
    tokenIds: readonly number[],
    start = 0,
  ): Promise<Float32Array> {
    // No product may have a single row: where one is left, a row of scratch goes with it.
    const rows = causalRows([...tokenIds.slice(start), ...(tokenIds.length - start === 1 ? [0] : [])], start);
    const idle = idleSlot(cache.capacity - rows.tokenIds.length);
    const slots = Array.from({ length: NUM_SLOTS }, (_, other) => (other === slot ? rows : idle));
    const output = await session.run(cache, batchOf(cache.capacity, slots));
    return output.logits(tokenIds.length - 1 - start).slice();
  }

  /** What all layers hold of a slot's columns [0, numColumns). */
  function columnsOf(cache: KvCache, slot: number, numColumns: number): Float32Array[] {
    const { numKeyValueHeads, headDim } = session.config;
    return cacheTensors(cache).flatMap((tensor) =>
      Array.from({ length: numKeyValueHeads }, (_, head) => {
        const start = (slot * numKeyValueHeads + head) * cache.capacity * headDim;
        return tensor.slice(start, start + numColumns * headDim);
      }),
    );
  }

  it.each([1, 4, 256])(
    'a text on a restored prefix has the columns and logits of one computed afresh, bit for bit (pieces of %i)',
    async (maxSegmentTokens) => {
      const { numBytesPerColumn } = session;
      const maxBytes = 100 * numBytesPerColumn;
      const prefixes = new PrefixCache({ maxBytes, numBytesPerColumn, maxSegmentTokens });
      const source = dirtyCache(48);
      for (const tokenIds of [FIRST, SECOND]) {
        await prefill(source, 1, tokenIds);
        prefixes.insert('', tokenIds, tokenIds.length, source, 1);
      }
      expect(prefixes.numBytes).toBe((FIRST.length + SECOND.length - 7) * numBytesPerColumn);
      source.dispose();
      for (const tokenIds of [FIRST, SECOND, [...FIRST, 2, 33], [...SECOND.slice(0, 5), 30, 12]]) {
        const fresh = dirtyCache(64);
        const expected = await prefill(fresh, 0, tokenIds);
        const warm = dirtyCache(32);
        const hit = prefixes.lookup('', tokenIds);
        expect(hit.numTokens).toBeGreaterThanOrEqual(5);
        hit.restore(warm, 2);
        expect(await prefill(warm, 2, tokenIds, hit.numTokens)).toEqual(expected);
        expect(columnsOf(warm, 2, tokenIds.length)).toEqual(columnsOf(fresh, 0, tokenIds.length));
        fresh.dispose();
        warm.dispose();
      }
      prefixes.checkIntegrity();
      prefixes.setMaxBytes(0);
      expect(prefixes.numBytes).toBe(0);
    },
  );
});
