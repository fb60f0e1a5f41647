import { PrefixNode } from './node.ts';
import type { PrefixRoot, SharedColumns } from './node.ts';

/** Throws where trees, their order of use and their bytes contradict each other; returns how many pins there are. */
export function checkPrefixTrees(
  roots: readonly PrefixRoot[],
  byRecency: Iterable<PrefixNode>,
  numBytes: number,
): number {
  const nodes = [...byRecency];
  const places = new Map(nodes.map((node, index) => [node, index]));
  for (const node of nodes) checkNode(node, places, roots);
  const numChildren = [...nodes, ...roots].reduce((sum, { children }) => sum + children.size, 0);
  if (numChildren !== nodes.length) throw new Error(`${numChildren} children, ${nodes.length} nodes`);
  for (const { salt, children } of roots) if (children.size === 0) throw new Error(`'${salt}' is empty`);
  checkReferences(nodes, numBytes);
  return nodes.reduce((sum, { numPins }) => sum + numPins, 0);
}

function checkNode(
  node: PrefixNode,
  places: ReadonlyMap<PrefixNode, number>,
  roots: readonly PrefixRoot[],
): void {
  const { parent, start, end } = node;
  const name = `node [${start}, ${end})`;
  if (end === start) throw new Error(`${name} has no tokens`);
  if (parent.children.get(node.firstToken) !== node) throw new Error(`${name} is no child of its parent`);
  if (start !== (parent instanceof PrefixNode ? parent.end : 0)) {
    throw new Error(`${name} does not start at its parent's end`);
  }
  if (!(parent instanceof PrefixNode)) {
    if (!roots.includes(parent)) throw new Error(`${name} is in no tree`);
  } else if ((places.get(parent) ?? -1) <= (places.get(node) ?? -1)) {
    throw new Error(`${name} was used after its parent`);
  }
}

function checkReferences(nodes: readonly PrefixNode[], numBytes: number): void {
  const readers = new Map<SharedColumns, PrefixNode[]>();
  for (const node of nodes) readers.set(node.columns, [...(readers.get(node.columns) ?? []), node]);
  let sum = 0;
  for (const [{ saved, numReferences }, parts] of readers) {
    if (numReferences !== parts.length) throw new Error(`${numReferences} references, ${parts.length} nodes`);
    let end = 0;
    for (const { offset, tokenIds } of parts.toSorted((a, b) => a.offset - b.offset)) {
      if (offset < end) throw new Error('two nodes read the same saved column');
      end = offset + tokenIds.length;
    }
    if (end > saved.numColumns) throw new Error('a node reads past its saved columns');
    sum += saved.numBytes;
  }
  if (sum !== numBytes) throw new Error(`${sum} bytes are saved, ${numBytes} are counted`);
}
