import type { SavedColumns } from '../../device/device.ts';

/** Saved columns that several nodes may read, each its own part; disposed of with the last of them. */
export interface SharedColumns {
  readonly saved: SavedColumns;
  numReferences: number;
}

/** Where a tenant's tree starts. */
export interface PrefixRoot {
  readonly salt: string;
  /** By the first token of the child. */
  readonly children: Map<number, PrefixNode>;
  numPins: number;
}

/** A run of tokens that comes after its parent's, with their cache columns [start, end). */
export class PrefixNode {
  parent: PrefixNode | PrefixRoot;
  readonly children = new Map<number, PrefixNode>();
  tokenIds: Int32Array;
  /** The cache column of the first token: how many tokens stand before it. */
  start: number;
  readonly columns: SharedColumns;
  /** The first token's place in the saved columns. */
  offset: number;
  /** How many hits end in this node and are not restored yet. Ancestors need no pin: they have a child. */
  numPins = 0;
  /** Neighbours in the order of use, see RecencyList. */
  older: PrefixNode | undefined;
  newer: PrefixNode | undefined;

  constructor(parent: PrefixNode | PrefixRoot, tokenIds: Int32Array, columns: SharedColumns, offset: number) {
    this.parent = parent;
    this.tokenIds = tokenIds;
    this.start = parent instanceof PrefixNode ? parent.end : 0;
    this.columns = columns;
    this.offset = offset;
    columns.numReferences += 1;
    parent.children.set(this.firstToken, this);
  }

  get end(): number {
    return this.start + this.tokenIds.length;
  }

  get firstToken(): number {
    return this.tokenIds[0] ?? -1;
  }

  get isEvictable(): boolean {
    return this.children.size === 0 && this.numPins === 0;
  }

  get root(): PrefixRoot {
    let branch = this.parent;
    while (branch instanceof PrefixNode) branch = branch.parent;
    return branch;
  }
}

/** The longest prefix that the tree has: it ends at column `numTokens`, within or at the end of `branch`. */
export interface PrefixMatch {
  readonly branch: PrefixNode | PrefixRoot;
  readonly numTokens: number;
}

/** Compares at most the first `numTokens` of the ids. Changes nothing. */
export function findPrefix(root: PrefixRoot, tokenIds: ArrayLike<number>, numTokens: number): PrefixMatch {
  let branch: PrefixNode | PrefixRoot = root;
  let at = 0;
  while (at < numTokens) {
    const child: PrefixNode | undefined = branch.children.get(tokenIds[at] ?? -1);
    if (child === undefined) break;
    const end = Math.min(child.end, numTokens);
    branch = child;
    while (at < end && child.tokenIds[at - child.start] === tokenIds[at]) at += 1;
    if (at < child.end) break;
  }
  return { branch, numTokens: at };
}

/**
 * Puts a node of its own before column `at` of a node and returns it; both go on reading the same saved columns. The
 * given node stays the deeper one, so a hit that ends in it keeps both.
 */
export function splitNode(node: PrefixNode, at: number): PrefixNode {
  const numUpper = at - node.start;
  const upper = new PrefixNode(node.parent, node.tokenIds.subarray(0, numUpper), node.columns, node.offset);
  node.parent = upper;
  node.tokenIds = node.tokenIds.subarray(numUpper);
  node.start = at;
  node.offset += numUpper;
  upper.children.set(node.firstToken, node);
  return upper;
}
