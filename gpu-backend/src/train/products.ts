import { GraphBuilder } from '../model/graph/builder.ts';
import type { GraphNode } from '../model/graph/builder.ts';
import { fixedDimAt, gemm } from '../model/graph/ops.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { openGraph } from '../device/graph-session.ts';
import type { HostTensor } from '../device/graph-session.ts';

/** One matrix product of a graph, over `batch` pairs of matrices: [rows, depth] · [depth, columns]. */
export interface Product {
  /** Linear layers are single products, attention's have a batch. */
  readonly batch: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly isLeftTransposed: boolean;
  readonly isRightTransposed: boolean;
}

/** Multiplications and additions. */
export function flopsOf({ batch, rows, depth, columns }: Product): number {
  return 2 * batch * rows * depth * columns;
}

/**
 * Every matrix product of a graph, forward and backward, as often as it is computed. Products with a vector, which
 * are sums over rows or columns, don't count.
 */
export function productsOf(b: GraphBuilder): Product[] {
  return b.nodes
    .filter(({ opType }) => opType === 'Gemm' || opType === 'FusedMatMul')
    .map(productOf)
    .filter(({ rows, columns }) => rows > 1 && columns > 1);
}

function productOf(node: GraphNode): Product {
  const [left, output] = [node.inputs[0], node.outputs[0]];
  if (left === undefined || output === undefined) throw new Error(`${node.opType} without its matrices`);
  const isLeftTransposed = node.attributes['transA'] === 1;
  const leading = output.shape.slice(0, -2).map(Number);
  return {
    batch: leading.reduce((product, dim) => product * dim, 1),
    rows: fixedDimAt(output, -2),
    depth: fixedDimAt(left, isLeftTransposed ? -2 : -1),
    columns: fixedDimAt(output, -1),
    isLeftTransposed,
    isRightTransposed: node.attributes['transB'] === 1,
  };
}

/**
 * Seconds that one plain product alone takes, as a graph of its own. Its threads end with it: those of an idle
 * session spin for a while and would slow the next one.
 */
export async function timeProduct(product: Product, numThreads: number, numRepeats: number): Promise<number> {
  const { rows, depth, columns, isLeftTransposed, isRightTransposed } = product;
  const b = new GraphBuilder();
  const shapes = {
    x: isLeftTransposed ? [depth, rows] : [rows, depth],
    y: isRightTransposed ? [columns, depth] : [depth, columns],
  };
  const [x, y] = [b.input('x', 'float32', shapes.x), b.input('y', 'float32', shapes.y)];
  b.output('z', gemm(b, x, y, { transX: isLeftTransposed, transY: isRightTransposed }));
  const session = await openGraph(serializeModel(b, 'product'), { numThreads });
  const inputs = { x: filled(shapes.x), y: filled(shapes.y) };
  const into = { z: filled([rows, columns]) };
  await session.run(inputs, into);
  const start = performance.now();
  for (let repeat = 0; repeat < numRepeats; repeat += 1) await session.run(inputs, into);
  const seconds = (performance.now() - start) / 1000 / numRepeats;
  await session.dispose();
  return seconds;
}

function filled(shape: readonly number[]): HostTensor {
  const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
  return { type: 'float32', shape, data: data.map((_, at) => ((at * 37) % 101) / 101 - 0.5) };
}
