import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PrefixCache } from '../prefix-cache.ts';
import type { PrefixHit } from '../prefix-cache.ts';
import { ColumnValues, HostMemory } from './host-cache.ts';

export const CAPACITY = 24;
const UNTOUCHED = -1;

export type Operation =
  | { type: 'insert'; salt: string; tokenIds: number[]; cut: number }
  | { type: 'lookup'; salt: string; tokenIds: number[] }
  | { type: 'restore' | 'release'; open: number }
  | { type: 'limit'; maxColumns: number };

// Two tokens and few lengths, so that prompts share prefixes, split pieces and meet again.
const salts = fc.constantFrom('a', 'b');
const prompts = fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 12 });
const use = fc.oneof(
  fc.record({ type: fc.constant('insert'), salt: salts, tokenIds: prompts, cut: fc.nat(3) }),
  fc.record({ type: fc.constant('lookup'), salt: salts, tokenIds: prompts }),
  fc.record({ type: fc.constantFrom('restore', 'release'), open: fc.nat(4) }),
);
const limit = fc.record({ type: fc.constant('limit'), maxColumns: fc.integer({ min: 0, max: 20 }) });

export const operations: fc.Arbitrary<Operation[]> = fc.array(use, { maxLength: 60 });
export const operationsAndLimits: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof({ weight: 10, arbitrary: use }, { weight: 1, arbitrary: limit }),
  { maxLength: 60 },
);
/** The most columns of a piece. */
export const segments = fc.constantFrom(1, 2, 3, 5, 100);

/** A prefix cache with what its caches must hold, and hits that stay open over other operations. */
export class Harness {
  readonly memory = new HostMemory();
  readonly values = new ColumnValues();
  readonly cache: PrefixCache;
  readonly open: { hit: PrefixHit; salt: string; tokenIds: number[] }[] = [];
  maxColumns: number;

  constructor(maxColumns: number, maxSegmentTokens: number) {
    this.maxColumns = maxColumns;
    const { numBytesPerColumn } = this.memory;
    const maxBytes = maxColumns * numBytesPerColumn;
    this.cache = new PrefixCache({ maxBytes, numBytesPerColumn, maxSegmentTokens });
  }

  get numColumns(): number {
    return this.cache.numBytes / this.memory.numBytesPerColumn;
  }

  insert(salt: string, tokenIds: number[], numTokens = tokenIds.length): number {
    const source = this.memory.createCache(2, CAPACITY);
    source.slot(0).fill(UNTOUCHED);
    source
      .slot(1)
      .fill(UNTOUCHED)
      .set(this.values.of(salt, tokenIds, numTokens));
    return this.cache.insert(salt, tokenIds, numTokens, source, 1);
  }

  lookup(salt: string, tokenIds: number[]): PrefixHit {
    const hit = this.cache.lookup(salt, tokenIds);
    this.open.push({ hit, salt, tokenIds });
    return hit;
  }

  /** Restores into a slot of another cache: exactly the hit's columns are written, with that prefix's values. */
  checkRestored({ hit, salt, tokenIds }: { hit: PrefixHit; salt: string; tokenIds: number[] }): void {
    const target = this.memory.createCache(3, CAPACITY);
    for (const slot of [0, 1, 2]) target.slot(slot).fill(UNTOUCHED);
    hit.restore(target, 1);
    const expected = new Float64Array(CAPACITY).fill(UNTOUCHED);
    expected.set(this.values.of(salt, tokenIds, hit.numTokens));
    assert.deepEqual(target.slot(1), expected);
    for (const slot of [0, 2]) assert(target.slot(slot).every((value) => value === UNTOUCHED));
  }

  run(operation: Operation): void {
    if (operation.type === 'insert') {
      const { salt, tokenIds, cut } = operation;
      this.insert(salt, tokenIds, Math.max(0, tokenIds.length - cut));
    } else if (operation.type === 'lookup') this.lookup(operation.salt, operation.tokenIds);
    else if (operation.type === 'limit') {
      this.maxColumns = operation.maxColumns;
      this.cache.setMaxBytes(operation.maxColumns * this.memory.numBytesPerColumn);
    } else {
      const [open] = this.open.splice(operation.open, 1);
      if (open === undefined) return;
      if (operation.type === 'restore') this.checkRestored(open);
      else open.hit.release();
    }
  }

  close(): void {
    for (const open of this.open.splice(0)) this.checkRestored(open);
  }
}
