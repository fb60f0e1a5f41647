import { PrefixNode } from './node.ts';
import type { PrefixRoot } from './node.ts';

/**
 * All nodes from the least to the most recently used. A path is touched from its end up, so a node always stands
 * before its parent: the oldest node that is not pinned is a leaf, and one walk from the oldest finds every node that
 * may go.
 */
export class RecencyList {
  #oldest: PrefixNode | undefined;
  #newest: PrefixNode | undefined;
  #numNodes = 0;

  get numNodes(): number {
    return this.#numNodes;
  }

  /** A node and all above it were used. */
  touch(branch: PrefixNode | PrefixRoot): void {
    for (let node = branch; node instanceof PrefixNode; node = node.parent) {
      if (node === this.#newest) continue;
      this.#unlink(node);
      this.#link(this.#newest, node, undefined);
    }
  }

  /** Takes in a new child of a node that was just used. */
  addChild(node: PrefixNode): void {
    if (node.parent instanceof PrefixNode) this.#link(node.parent.older, node, node.parent);
    else this.#link(this.#newest, node, undefined);
  }

  /** Takes in a node that was put above another one. */
  addParent(child: PrefixNode, node: PrefixNode): void {
    this.#link(child, node, child.newer);
  }

  remove(node: PrefixNode): void {
    this.#unlink(node);
    node.older = undefined;
    node.newer = undefined;
  }

  /** From the oldest on. The node that was yielded last may be removed on the way. */
  *[Symbol.iterator](): Generator<PrefixNode, void, undefined> {
    for (let node = this.#oldest; node !== undefined;) {
      const next = node.newer;
      yield node;
      node = next;
    }
  }

  #link(older: PrefixNode | undefined, node: PrefixNode, newer: PrefixNode | undefined): void {
    node.older = older;
    node.newer = newer;
    if (older === undefined) this.#oldest = node;
    else older.newer = node;
    if (newer === undefined) this.#newest = node;
    else newer.older = node;
    this.#numNodes += 1;
  }

  #unlink(node: PrefixNode): void {
    if (node.older === undefined) this.#oldest = node.newer;
    else node.older.newer = node.newer;
    if (node.newer === undefined) this.#newest = node.older;
    else node.newer.older = node.older;
    this.#numNodes -= 1;
  }
}
