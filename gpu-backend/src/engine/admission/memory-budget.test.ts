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
  it('rise by 64, later by a quarter of a power of two, up to what the longest sequence needs', () => {
    expect(capacityClasses(1)).toEqual([128]);
    expect(capacityClasses(129)).toEqual([128, 192]);
    expect(capacityClasses(1000)).toEqual([128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024]);
    expect(capacityClasses(1300, 1024)).toEqual([1024, 1280, 1344]);
  });

  it('hold every sequence that the model can have, with at most a quarter more columns, or 64', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 20_000 }), (a, b) => {
        const capacities = capacityClasses(Math.max(a, b));
        const numColumns = Math.max(128, Math.min(a, b));
        const capacity = capacities.find((one) => one >= Math.min(a, b))!;
        expect(capacity).toBeLessThanOrEqual(Math.max(numColumns + 64, 1.25 * numColumns));
        expect(capacities.every((one, index) => one > (capacities[index - 1] ?? 0))).toBe(true);
        expect(capacities.at(-1)).toBeLessThan(Math.max(128, a, b) + 64);
      }),
    );
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
    memoryBudget.checkIntegrity([]);
    hit.release();
    expect(memoryBudget.reserve(60 * numBytesPerColumn)).toBe(true);
  });

  it('cannot be released without being reserved', () => {
    const { budget: memoryBudget } = budget(100);
    expect(() => memoryBudget.release(1)).toThrow(RangeError);
  });
});
