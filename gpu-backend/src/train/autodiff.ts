import type { GraphBuilder, GraphNode, Value } from '../model/graph/builder.ts';
import { add } from '../model/graph/ops.ts';
import { GRADIENT_RULES } from './gradient-rules.ts';

/** Given the gradient of an op's output, the gradients of its inputs (undefined: none flows there). */
export type Backward = (b: GraphBuilder, gradient: Value) => readonly (Value | undefined)[];

interface CustomOp {
  readonly inputs: readonly Value[];
  readonly backward: Backward;
}

/**
 * Ops whose gradient is written by hand, by the name of their output: their inner nodes are passed over.
 * Used where the composed gradient would move far more memory (attention, cross-entropy).
 */
export class CustomGradients {
  readonly #ops = new Map<string, CustomOp>();

  define(output: Value, inputs: readonly Value[], backward: Backward): Value {
    this.#ops.set(output.name, { inputs, backward });
    return output;
  }

  of(output: Value): CustomOp | undefined {
    return this.#ops.get(output.name);
  }
}

/**
 * Reverse-mode differentiation over the nodes that `b` holds: adds the nodes that compute d `loss` / d `of`.
 * `loss` is a scalar. Throws for an op that has no gradient rule and lies on a path from `of` to `loss`.
 */
export function gradients(
  b: GraphBuilder,
  loss: Value,
  of: readonly Value[],
  custom: CustomGradients = new CustomGradients(),
): Value[] {
  const forward = [...b.nodes];
  const dependent = dependentValues(forward, of);
  const gradientOf = new Map<string, Value>([[loss.name, b.scalar(1)]]);
  for (const node of forward.reverse()) {
    const output = node.outputs[0];
    const gradient = output === undefined ? undefined : gradientOf.get(output.name);
    if (output === undefined || gradient === undefined || !dependent.has(output.name)) continue;
    const op = custom.of(output) ?? ruleFor(node);
    const inputGradients = op.backward(b, gradient);
    op.inputs.forEach((input, index) => {
      const flowing = inputGradients[index];
      if (flowing === undefined || !dependent.has(input.name)) return;
      const known = gradientOf.get(input.name);
      const isShared = flowing === gradient || inputGradients.filter((each) => each === flowing).length > 1;
      gradientOf.set(input.name, known === undefined ? flowing : sum(b, known, flowing, isShared));
    });
  }
  return of.map((value) => {
    const gradient = gradientOf.get(value.name);
    if (gradient === undefined) throw new Error(`${value.name} has no influence on the loss`);
    return gradient;
  });
}

/**
 * Adds a gradient to what is known of it. A product that nobody else reads is made again with what is known as its
 * bias, which spares a walk over both.
 */
function sum(b: GraphBuilder, known: Value, flowing: Value, isShared: boolean): Value {
  const product = b.nodes.findLast((node) => node.outputs[0]?.name === flowing.name);
  const isRead = isShared || b.nodes.some((node) => node.inputs.some(({ name }) => name === flowing.name));
  if (product?.opType !== 'Gemm' || product.inputs.length > 2 || isRead) return add(b, known, flowing);
  b.nodes.splice(b.nodes.indexOf(product), 1);
  const { opType, inputs, attributes } = product;
  return b.node(opType, [...inputs, known], { type: flowing.type, shape: flowing.shape }, attributes);
}

function ruleFor(node: GraphNode): CustomOp {
  const rule = GRADIENT_RULES[node.opType];
  if (rule === undefined) throw new Error(`no gradient rule for ${node.opType}`);
  return { inputs: node.inputs, backward: (b, gradient) => rule(b, node, gradient) };
}

/** Names of all values that depend on one of `roots`, themselves included. */
function dependentValues(nodes: readonly GraphNode[], roots: readonly Value[]): ReadonlySet<string> {
  const dependent = new Set(roots.map((value) => value.name));
  for (const node of nodes) {
    if (!node.inputs.some((input) => dependent.has(input.name))) continue;
    for (const output of node.outputs) dependent.add(output.name);
  }
  return dependent;
}
