import type { KvCache } from '../../device/device.ts';
import { checkPrefixTrees } from './integrity.ts';
import { findPrefix, PrefixNode, splitNode } from './node.ts';
import type { PrefixRoot } from './node.ts';
import { RecencyList } from './recency-list.ts';

export interface PrefixCacheOptions {
  readonly maxBytes: number;
  /** What one saved column takes (ModelSession.numBytesPerColumn). */
  readonly numBytesPerColumn: number;
  /** Shorter prefixes are neither kept nor found: computing them again costs about as much. */
  readonly minTokens?: number;
  /**
   * The most columns saved as one piece. Pieces are evicted one at a time from a prefix's end; a piece that was split
   * keeps its memory until all its parts have gone.
   */
  readonly maxSegmentTokens?: number;
}

/** A prefix that the cache has. Its columns stay until it is restored or released: do one of the two. */
export interface PrefixHit {
  /** How many tokens from the prompt's first on; 0 is a miss. */
  readonly numTokens: number;
  /** Writes columns [0, numTokens) of the slot, and releases. */
  restore(cache: KvCache, slot: number): void;
  /** A second call does nothing. */
  release(): void;
}

export interface PrefixCacheStatistics {
  readonly numLookups: number;
  readonly numHits: number;
  readonly numHitTokens: number;
  readonly numSavedTokens: number;
  readonly numEvictedTokens: number;
  readonly numBytes: number;
  readonly numNodes: number;
  readonly numOpenHits: number;
}

const MISS: PrefixHit = { numTokens: 0, restore: () => {}, release: () => {} };

/**
 * Cache columns of prefixes that were computed before, in a radix tree of token ids for each salt. Whoever uses another
 * salt learns nothing of them, neither by a hit nor by the time a lookup takes.
 */
export class PrefixCache {
  readonly #roots = new Map<string, PrefixRoot>();
  readonly #recency = new RecencyList();
  readonly #numBytesPerColumn: number;
  readonly #minTokens: number;
  readonly #maxSegmentTokens: number;
  #maxBytes: number;
  #numBytes = 0;
  #numOpenHits = 0;
  #counts = { numLookups: 0, numHits: 0, numHitTokens: 0, numSavedTokens: 0, numEvictedTokens: 0 };

  constructor({ maxBytes, numBytesPerColumn, minTokens = 1, maxSegmentTokens = 256 }: PrefixCacheOptions) {
    this.#maxBytes = maxBytes;
    this.#numBytesPerColumn = numBytesPerColumn;
    this.#minTokens = Math.max(1, minTokens);
    this.#maxSegmentTokens = maxSegmentTokens;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  get statistics(): PrefixCacheStatistics {
    const { numNodes } = this.#recency;
    return { ...this.#counts, numBytes: this.#numBytes, numNodes, numOpenHits: this.#numOpenHits };
  }

  /** The longest prefix of a prompt that is kept, without the prompt's last token: its logits are wanted. */
  lookup(salt: string, tokenIds: ArrayLike<number>): PrefixHit {
    this.#counts.numLookups += 1;
    const root = this.#roots.get(salt);
    if (root === undefined) return MISS;
    const { branch, numTokens } = findPrefix(root, tokenIds, tokenIds.length - 1);
    if (!(branch instanceof PrefixNode) || numTokens < this.#minTokens) return MISS;
    this.#counts.numHits += 1;
    this.#counts.numHitTokens += numTokens;
    this.#recency.touch(branch);
    return this.#pin(branch, numTokens);
  }

  /**
   * Keeps the first `numTokens` tokens, whose columns [0, numTokens) of the slot are committed. Only columns that the
   * tree lacks are saved, as many of them as fit beside what is pinned. Returns how many were saved.
   */
  insert(salt: string, tokenIds: ArrayLike<number>, numTokens: number, cache: KvCache, slot: number): number {
    if (numTokens > tokenIds.length) throw new RangeError(`${tokenIds.length} tokens have no ${numTokens}`);
    if (numTokens < this.#minTokens) return 0;
    const root = this.#openRoot(salt);
    const { branch, numTokens: numKnown } = findPrefix(root, tokenIds, numTokens);
    this.#recency.touch(branch);
    try {
      return this.#append(branch, Int32Array.from(tokenIds), numKnown, numTokens, { cache, slot });
    } finally {
      this.#closeRoot(root);
    }
  }

  /** Sets another limit and evicts down to it, 0: everything; what open hits pin follows when they close. */
  setMaxBytes(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** Throws where bytes, references, links, pins or the order of use do not add up. */
  checkIntegrity(): void {
    const numPins = checkPrefixTrees([...this.#roots.values()], this.#recency, this.#numBytes);
    if (numPins !== this.#numOpenHits) throw new Error(`${numPins} pins of ${this.#numOpenHits} open hits`);
  }

  #pin(node: PrefixNode, numTokens: number): PrefixHit {
    let isOpen = true;
    node.numPins += 1;
    this.#numOpenHits += 1;
    const release = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#numOpenHits -= 1;
      node.numPins -= 1;
      this.#evictTo(this.#maxBytes);
    };
    const restore = (cache: KvCache, slot: number): void => {
      if (!isOpen) throw new Error('the hit was released, its columns may be gone');
      try {
        restoreColumns(node, numTokens, cache, slot);
      } finally {
        release();
      }
    };
    return { numTokens, restore, release };
  }

  /** The branch that ends at column `at`, which stands in the given one or at its end. */
  #endAt(branch: PrefixNode | PrefixRoot, at: number): PrefixNode | PrefixRoot {
    if (!(branch instanceof PrefixNode) || branch.end === at) return branch;
    const upper = splitNode(branch, at);
    this.#recency.addParent(branch, upper);
    return upper;
  }

  /** Saves columns [start, end) below a branch, piece by piece; returns how many there was room for. */
  #append(
    branch: PrefixNode | PrefixRoot,
    tokenIds: Int32Array,
    start: number,
    end: number,
    { cache, slot }: { cache: KvCache; slot: number },
  ): number {
    let last = branch;
    let at = start;
    while (at < end) {
      const numColumns = this.#makeRoom(Math.min(end - at, this.#maxSegmentTokens), last);
      if (numColumns === 0) break;
      const range = { start: at, end: at + numColumns };
      const saved = cache.save(slot, range);
      const parent = this.#endAt(last, at);
      last = new PrefixNode(parent, tokenIds.slice(range.start, range.end), { saved, numReferences: 0 }, 0);
      this.#recency.addChild(last);
      this.#numBytes += saved.numBytes;
      at = range.end;
    }
    this.#counts.numSavedTokens += at - start;
    return at - start;
  }

  /** Evicts for as many of the columns as can be had while `kept` and all above it stay; returns how many fit. */
  #makeRoom(numColumns: number, kept: PrefixNode | PrefixRoot): number {
    kept.numPins += 1;
    this.#evictTo(this.#maxBytes - numColumns * this.#numBytesPerColumn);
    kept.numPins -= 1;
    const numFitting = Math.floor((this.#maxBytes - this.#numBytes) / this.#numBytesPerColumn);
    return Math.max(0, Math.min(numColumns, numFitting));
  }

  #evictTo(numBytes: number): void {
    if (this.#numBytes <= numBytes) return;
    for (const node of this.#recency) {
      if (!node.isEvictable) continue;
      this.#counts.numEvictedTokens += node.tokenIds.length;
      const { root } = node;
      this.#drop(node);
      this.#closeRoot(root);
      if (this.#numBytes <= numBytes) return;
    }
  }

  #drop(node: PrefixNode): void {
    node.parent.children.delete(node.firstToken);
    this.#recency.remove(node);
    node.columns.numReferences -= 1;
    if (node.columns.numReferences > 0) return;
    this.#numBytes -= node.columns.saved.numBytes;
    node.columns.saved.dispose();
  }

  #openRoot(salt: string): PrefixRoot {
    const known = this.#roots.get(salt);
    if (known !== undefined) return known;
    const root: PrefixRoot = { salt, children: new Map(), numPins: 0 };
    this.#roots.set(salt, root);
    return root;
  }

  /** A tenant without nodes leaves nothing behind. */
  #closeRoot(root: PrefixRoot): void {
    if (root.children.size === 0 && root.numPins === 0) this.#roots.delete(root.salt);
  }
}

function restoreColumns(last: PrefixNode, numTokens: number, cache: KvCache, slot: number): void {
  for (let node: PrefixNode | PrefixRoot = last; node instanceof PrefixNode; node = node.parent) {
    const numColumns = Math.min(node.end, numTokens) - node.start;
    // After a split the hit may end before the node that it pinned.
    if (numColumns <= 0) continue;
    const range = { start: node.offset, end: node.offset + numColumns };
    cache.restore(slot, node.start, node.columns.saved, range);
  }
}
