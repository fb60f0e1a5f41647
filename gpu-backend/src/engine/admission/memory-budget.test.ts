import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixCache } from '../prefix-cache/prefix-cache.ts';
import { HostMemory } from '../prefix-cache/testing/host-cache.ts';
import { capacityClasses, MemoryBudget } from './memory-budget.ts';

const memory = new HostMemory();
const { numBytesPerColumn } = memory;

function budget(
  maxColumns: number,
  maxPrefixColumns = maxColumns,
): { prefixCache: PrefixCache; budget: MemoryBudget } {
  const prefixCache = new PrefixCache({ maxBytes: 0, numBytesPerColumn, maxSegmentTokens: 4 });
  const options = {
    maxBytes: maxColumns * numBytesPerColumn,
    maxPrefixCacheBytes: maxPrefixColumns * numBytesPerColumn,
    numBytesPerColumn,
    maxColumns: 1000,
    smallestCapacity: 128,
  };
  return { prefixCache, budget: new MemoryBudget(options, prefixCache) };
}

function keep(prefixCache: PrefixCache, text: number, numTokens: number): void {
  const tokenIds = Array.from({ length: numTokens }, (_, index) => (index === 0 ? text : 0));
  prefixCache.insert('', tokenIds, numTokens, memory.createCache(1, 512), 0);
}

describe('capacity classes', () => {
  it('double from the smallest up to what the longest sequence needs, in whole 128s', () => {
    expect(capacityClasses(1, 128)).toEqual([128]);
    expect(capacityClasses(129, 128)).toEqual([128, 256]);
    expect(capacityClasses(1000, 128)).toEqual([128, 256, 512, 1024]);
    expect(capacityClasses(8192 + 272, 128)).toEqual([128, 256, 512, 1024, 2048, 4096, 8192, 8576]);
  });

  it('hold every sequence that the model can have, with less than twice the columns and 128 more', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 20_000 }), (a, b) => {
        const capacities = capacityClasses(Math.max(a, b), 128);
        const capacity = capacities.find((capacity) => capacity >= Math.min(a, b))!;
        expect(capacity).toBeGreaterThanOrEqual(Math.min(a, b));
        expect(capacity).toBeLessThan(2 * Math.min(a, b) + 128);
        expect(capacities.every((capacity, index) => capacity > (capacities[index - 1] ?? 0))).toBe(true);
        expect(capacities.at(-1)).toBeLessThan(Math.max(a, b) + 128);
      }),
    );
  });

  it('count committed columns and scratch, and refuse what no class holds', () => {
    const { budget: memoryBudget } = budget(1024);
    expect(memoryBudget.capacityFor(128, 0)).toBe(128);
    expect(memoryBudget.capacityFor(120, 9)).toBe(256);
    expect(memoryBudget.capacityFor(1000, 24)).toBe(1024);
    expect(() => memoryBudget.capacityFor(1000, 25)).toThrow('context');
    expect(memoryBudget.bytesFor(256, 3)).toBe(256 * 3 * numBytesPerColumn);
  });
});

describe('memory', () => {
  /** Columns, or which of the open ones. */
  const numbers = fc.integer({ min: 1, max: 60 });
  const steps = fc.array(
    fc.oneof(
      fc.record({ type: fc.constantFrom('reserve', 'keep'), number: numbers }),
      fc.record({ type: fc.constantFrom('release', 'hold', 'close'), number: fc.nat(5) }),
    ),
    { maxLength: 60 },
  );

  it('of sequences and prefix cache together never exceeds the limit, and is refused only where it would', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 100 }), (sequence, maxPrefixColumns) => {
        const { prefixCache, budget: memoryBudget } = budget(100, maxPrefixColumns);
        const reserved: number[] = [];
        const hits: { release(): void }[] = [];
        for (const [text, step] of sequence.entries()) {
          if (step.type === 'keep') keep(prefixCache, text % 4, step.number);
          else if (step.type === 'hold') hits.push(prefixCache.lookup('', [step.number % 4, 0, 0, 0, 0]));
          else if (step.type === 'close') hits.splice(step.number, 1)[0]?.release();
          else if (step.type === 'release') memoryBudget.release(reserved.splice(step.number, 1)[0] ?? 0);
          else {
            const numBytes = step.number * numBytesPerColumn;
            const fits = memoryBudget.canReserve(numBytes);
            const isReserved = memoryBudget.reserve(numBytes);
            if (isReserved) reserved.push(numBytes);
            if (hits.length === 0) expect(isReserved).toBe(fits);
            else if (isReserved) expect(fits).toBe(true);
          }
          memoryBudget.checkIntegrity(reserved.map((numBytes) => ({ numBytes })));
          expect(prefixCache.numBytes).toBeLessThanOrEqual(maxPrefixColumns * numBytesPerColumn);
          prefixCache.checkIntegrity();
        }
      }),
    );
  });

  it('is taken from the prefix cache first, and given back to it', () => {
    const { prefixCache, budget: memoryBudget } = budget(100, 80);
    keep(prefixCache, 1, 80);
    expect(prefixCache.numBytes).toBe(80 * numBytesPerColumn);
    expect(memoryBudget.reserve(60 * numBytesPerColumn)).toBe(true);
    expect(prefixCache.numBytes).toBe(40 * numBytesPerColumn);
    keep(prefixCache, 2, 80);
    expect(prefixCache.numBytes).toBe(40 * numBytesPerColumn);
    memoryBudget.release(60 * numBytesPerColumn);
    keep(prefixCache, 2, 80);
    expect(prefixCache.numBytes).toBe(80 * numBytesPerColumn);
  });

  it('that an open hit pins is not taken: nothing is reserved then', () => {
    const { prefixCache, budget: memoryBudget } = budget(100);
    keep(prefixCache, 1, 80);
    const hit = prefixCache.lookup('', [1, ...Array.from({ length: 80 }, () => 0)]);
    expect(hit.numTokens).toBe(80);
    expect(memoryBudget.reserve(60 * numBytesPerColumn)).toBe(false);
    expect(memoryBudget.numReservedBytes).toBe(0);
    hit.release();
    expect(memoryBudget.reserve(60 * numBytesPerColumn)).toBe(true);
  });

  it('cannot be released without being reserved', () => {
    const { budget: memoryBudget } = budget(100);
    expect(() => memoryBudget.release(1)).toThrow(RangeError);
  });
});
