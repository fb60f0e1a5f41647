import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixCache } from './prefix-cache.ts';
import { CAPACITY, Harness, operations, operationsAndLimits, segments } from './testing/harness.ts';
import { HostMemory } from './testing/host-cache.ts';
import { SlowPrefixCache } from './testing/slow-prefix-cache.ts';
import type { SlowHit } from './testing/slow-prefix-cache.ts';

describe('what is restored', () => {
  it('is what was saved for exactly that prefix, whatever was inserted, split or evicted between', () => {
    fc.assert(
      fc.property(
        operationsAndLimits,
        segments,
        fc.integer({ min: 0, max: 30 }),
        (steps, segment, maxColumns) => {
          const harness = new Harness(maxColumns, segment);
          for (const operation of steps) {
            harness.run(operation);
            harness.cache.checkIntegrity();
          }
          harness.close();
          harness.cache.checkIntegrity();
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is the longest prefix that any inserted text of the tenant shares, but for the last token', () => {
    fc.assert(
      fc.property(operations, segments, (steps, segment) => {
        const harness = new Harness(Infinity, segment);
        const list: { salt: string; tokenIds: number[] }[] = [];
        for (const operation of steps) {
          if (operation.type === 'lookup') {
            const { salt, tokenIds } = operation;
            const shared = list.map((kept) => (kept.salt === salt ? numShared(kept.tokenIds, tokenIds) : 0));
            const numTokens = Math.max(0, Math.min(tokenIds.length - 1, Math.max(0, ...shared)));
            expect(harness.lookup(salt, tokenIds).numTokens).toBe(numTokens);
            continue;
          }
          harness.run(operation);
          if (operation.type !== 'insert') continue;
          const { salt, tokenIds, cut } = operation;
          list.push({ salt, tokenIds: tokenIds.slice(0, Math.max(0, tokenIds.length - cut)) });
        }
      }),
    );
  });

  it('is nothing where the prompt has one token, or shares fewer than minTokens', () => {
    const memory = new HostMemory();
    const cache = new PrefixCache({
      maxBytes: 1e6,
      numBytesPerColumn: memory.numBytesPerColumn,
      minTokens: 3,
    });
    const source = memory.createCache(1, CAPACITY);
    expect(cache.insert('', [1, 2], 2, source, 0)).toBe(0);
    expect(cache.insert('', [1, 2, 3, 4], 4, source, 0)).toBe(4);
    expect(cache.lookup('', [1]).numTokens).toBe(0);
    expect(cache.lookup('', []).numTokens).toBe(0);
    expect(cache.lookup('', [1, 2, 3]).numTokens).toBe(0);
    expect(cache.lookup('', [1, 2, 3, 4]).numTokens).toBe(3);
    expect(cache.lookup('', [1, 2, 3, 4, 5]).numTokens).toBe(4);
  });

  it('can be restored once: a hit that was restored or released holds nothing', () => {
    const harness = new Harness(100, 4);
    harness.insert('a', [1, 2, 3]);
    const hit = harness.lookup('a', [1, 2, 3]);
    harness.checkRestored({ hit, salt: 'a', tokenIds: [1, 2, 3] });
    hit.release();
    expect(harness.cache.statistics.numOpenHits).toBe(0);
    expect(() => hit.restore(harness.memory.createCache(1, CAPACITY), 0)).toThrow('released');
  });
});

describe('memory', () => {
  it('never exceeds the limit, but for pieces that open hits pin under a limit that was lowered', () => {
    fc.assert(
      fc.property(
        operationsAndLimits,
        segments,
        fc.integer({ min: 0, max: 30 }),
        (steps, segment, maxColumns) => {
          const harness = new Harness(maxColumns, segment);
          for (const operation of steps) {
            const numBefore = harness.numColumns;
            harness.run(operation);
            const numAllowed = harness.open.length === 0 ? 0 : numBefore;
            expect(harness.numColumns).toBeLessThanOrEqual(Math.max(harness.maxColumns, numAllowed));
            expect(harness.memory.numSavedBytes).toBe(harness.cache.numBytes);
          }
          harness.close();
          harness.cache.setMaxBytes(harness.maxColumns * harness.memory.numBytesPerColumn);
          expect(harness.numColumns).toBeLessThanOrEqual(harness.maxColumns);
        },
      ),
    );
  });

  it('is all given back under a limit of none, once open hits are closed', () => {
    fc.assert(
      fc.property(operationsAndLimits, segments, (steps, segment) => {
        const harness = new Harness(30, segment);
        for (const operation of steps) harness.run(operation);
        harness.cache.setMaxBytes(0);
        harness.cache.checkIntegrity();
        harness.close();
        harness.cache.checkIntegrity();
        expect(harness.memory.numSavedBytes).toBe(0);
        expect(harness.cache.statistics).toMatchObject({ numBytes: 0, numNodes: 0, numOpenHits: 0 });
      }),
    );
  });

  it('is shared by both parts of a split and saved once for each column', () => {
    const harness = new Harness(100, 100);
    expect(harness.insert('a', [1, 2, 3, 4, 5])).toBe(5);
    expect(harness.insert('a', [1, 2, 3, 9])).toBe(1);
    expect(harness.insert('a', [1, 2, 3, 4])).toBe(0);
    expect(harness.numColumns).toBe(6);
    expect(harness.cache.statistics).toMatchObject({ numNodes: 3, numSavedTokens: 6 });
    harness.cache.checkIntegrity();
  });

  it('that ends amid a long text keeps its beginning', () => {
    const harness = new Harness(7, 4);
    const tokenIds = Array.from({ length: 12 }, (_, index) => index);
    expect(harness.insert('a', tokenIds)).toBe(7);
    expect(harness.lookup('a', tokenIds).numTokens).toBe(7);
  });
});

describe('eviction', () => {
  it('takes the least recently used prefix that nothing stands on and no hit pins: as the slow list does', () => {
    fc.assert(
      fc.property(operations, fc.integer({ min: 0, max: 16 }), (steps, maxColumns) => {
        const harness = new Harness(maxColumns, 1);
        const slow = new SlowPrefixCache(maxColumns, harness.values);
        const open: SlowHit[] = [];
        for (const operation of steps) {
          if (operation.type === 'lookup') {
            const { salt, tokenIds } = operation;
            const expected = slow.lookup(salt, tokenIds);
            open.push(expected);
            expect(harness.lookup(salt, tokenIds).numTokens).toBe(expected.columns.length);
          } else if (operation.type === 'insert') {
            const { salt, tokenIds, cut } = operation;
            const numTokens = Math.max(0, tokenIds.length - cut);
            expect(harness.insert(salt, tokenIds, numTokens)).toBe(slow.insert(salt, tokenIds, numTokens));
          } else {
            if (operation.type !== 'limit') open.splice(operation.open, 1)[0]?.release();
            harness.run(operation);
          }
          expect(harness.numColumns).toBe(slow.numColumns);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes whole texts in the order of their last use where they share nothing', () => {
    const text = fc.record({ text: fc.nat(9), isInsert: fc.boolean() });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 60 }), (uses) => {
        const harness = new Harness(12, 100);
        let byRecency: number[] = [];
        for (const { text, isInsert } of uses) {
          const tokenIds = [text, 0, 0, 0];
          const isKept = byRecency.includes(text);
          if (isInsert) harness.insert('a', tokenIds, 3);
          else {
            const hit = harness.cache.lookup('a', tokenIds);
            expect(hit.numTokens).toBe(isKept ? 3 : 0);
            hit.release();
          }
          if (isInsert || isKept)
            byRecency = [...byRecency.filter((other) => other !== text), text].slice(-4);
        }
      }),
    );
  });

  it('never takes what an open hit needs, not even for a text that finds no room', () => {
    const harness = new Harness(6, 2);
    harness.insert('a', [1, 2, 3, 4]);
    harness.lookup('a', [1, 2, 3, 4]);
    expect(harness.insert('a', [5, 6, 7, 8])).toBe(2);
    harness.cache.setMaxBytes(0);
    expect(harness.numColumns).toBe(4);
    harness.close();
    expect(harness.numColumns).toBe(0);
  });
});

describe('tenants', () => {
  it('find nothing of one another', () => {
    const harness = new Harness(100, 4);
    harness.insert('a', [1, 2, 3]);
    expect(harness.lookup('b', [1, 2, 3, 4]).numTokens).toBe(0);
    harness.insert('b', [1, 2, 3]);
    expect(harness.numColumns).toBe(6);
    expect(harness.lookup('a', [1, 2, 3, 4]).numTokens).toBe(3);
    expect(harness.lookup('b', [1, 2, 3, 4]).numTokens).toBe(3);
    harness.close();
  });
});

describe('statistics', () => {
  it('count lookups, hits, hit tokens, saved and evicted tokens', () => {
    const harness = new Harness(4, 4);
    harness.insert('a', [1, 2, 3]);
    harness.lookup('a', [1, 2, 9]);
    harness.lookup('a', [7, 7]);
    harness.close();
    harness.insert('a', [5, 6]);
    expect(harness.cache.statistics).toEqual({
      numLookups: 2,
      numHits: 1,
      numHitTokens: 2,
      numSavedTokens: 5,
      numEvictedTokens: 3,
      numBytes: 2 * harness.memory.numBytesPerColumn,
      numNodes: 1,
      numOpenHits: 0,
    });
  });
});

describe('a long text', () => {
  it('of 131,072 tokens is kept, extended and evicted without copying what is known', () => {
    const memory = new HostMemory();
    const { numBytesPerColumn } = memory;
    const numTokens = 131_072;
    const cache = new PrefixCache({ maxBytes: 2 * numTokens * numBytesPerColumn, numBytesPerColumn });
    const slab = memory.createCache(1, numTokens + 8);
    slab.slot(0).set(slab.slot(0).map((_, index) => index));
    const tokenIds = Int32Array.from({ length: numTokens + 8 }, (_, index) => index % 1000);
    expect(cache.insert('', tokenIds, numTokens, slab, 0)).toBe(numTokens);
    expect(cache.insert('', tokenIds, numTokens + 8, slab, 0)).toBe(8);
    const target = memory.createCache(1, numTokens + 8);
    const hit = cache.lookup('', tokenIds);
    expect(hit.numTokens).toBe(numTokens + 7);
    hit.restore(target, 0);
    expect(target.slot(0).subarray(0, hit.numTokens)).toEqual(slab.slot(0).subarray(0, hit.numTokens));
    cache.checkIntegrity();
    cache.setMaxBytes(0);
    expect(memory.numSavedBytes).toBe(0);
  });
});

function numShared(a: readonly number[], b: readonly number[]): number {
  const end = a.findIndex((tokenId, index) => tokenId !== b[index]);
  return end === -1 ? a.length : end;
}
