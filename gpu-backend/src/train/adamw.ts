import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import { add, div, mul, sqrt, sub } from '../model/graph/ops.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Gradients are scaled down to this global norm. */
  readonly clipNorm: number;
}

export const ADAMW_DEFAULTS: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
};

export const firstMomentName = (parameter: string): string => `m.${parameter}`;
export const secondMomentName = (parameter: string): string => `v.${parameter}`;
export const updatedName = (name: string): string => `new.${name}`;

/**
 * Adds one AdamW step (decoupled weight decay, on matrices only) to the graph. Inputs: the moments of every
 * parameter, learning_rate, and the bias corrections 1/(1−β₁ᵗ), 1/(1−β₂ᵗ). Outputs: every parameter and
 * moment again under updatedName, and the gradients' norm before clipping.
 *
 * A step reads and writes all weights and moments, so scalars are multiplied with each other first: with c₁, c₂ the
 * corrections, m · c₁ / (√(v · c₂) + ε) = c₁/√c₂ · m / (√v + ε/√c₂).
 */
export function addAdamW(
  b: GraphBuilder,
  parameters: ReadonlyMap<string, Value>,
  gradients: readonly Value[],
  options: AdamWOptions,
): void {
  const learningRate = b.input('learning_rate', 'float32', []);
  const correction = b.input('correction_1', 'float32', []);
  const root = sqrt(b, b.input('correction_2', 'float32', []));
  const norm = sqrt(b, sumOfSquares(b, gradients));
  const limit = b.scalar(options.clipNorm);
  const clip = div(b, limit, b.node('Max', [norm, limit], { type: 'float32', shape: [] }));
  const scalars = {
    gradient: mul(b, clip, b.scalar(1 - options.beta1)),
    square: mul(b, mul(b, clip, clip), b.scalar(1 - options.beta2)),
    epsilon: div(b, b.scalar(options.epsilon), root),
    step: mul(b, learningRate, div(b, correction, root)),
    kept: sub(b, b.scalar(1), mul(b, learningRate, b.scalar(options.weightDecay))),
  };
  [...parameters.values()].forEach((parameter, index) => {
    const gradient = gradients[index];
    if (gradient === undefined) throw new Error(`no gradient for ${parameter.name}`);
    const square = mul(b, gradient, gradient);
    const m = average(b, firstMomentName(parameter.name), mul(b, gradient, scalars.gradient), options.beta1);
    const v = average(b, secondMomentName(parameter.name), mul(b, square, scalars.square), options.beta2);
    const direction = div(b, m, add(b, sqrt(b, v), scalars.epsilon));
    const decays = parameter.shape.length > 1 && options.weightDecay > 0;
    const kept = decays ? mul(b, parameter, scalars.kept) : parameter;
    b.output(updatedName(parameter.name), sub(b, kept, mul(b, direction, scalars.step)));
  });
  b.output('gradient_norm', norm);
}

/** The running mean `name`, with `share` of a new value: an input and, updated, an output. */
function average(b: GraphBuilder, name: string, share: Value, beta: number): Value {
  const moved = add(b, mul(b, b.input(name, 'float32', share.shape), b.scalar(beta)), share);
  b.output(updatedName(name), moved);
  return moved;
}

function sumOfSquares(b: GraphBuilder, values: readonly Value[]): Value {
  const sums = values.map((value) => {
    const axes = b.list(value.shape.map((_, axis) => axis));
    return b.node('ReduceSumSquare', [value, axes], { type: 'float32', shape: [] }, { keepdims: 0 });
  });
  return b.node('Sum', sums, { type: 'float32', shape: [] });
}
