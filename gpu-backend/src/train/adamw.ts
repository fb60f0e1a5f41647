import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import { add, div, mul, reduceSum, sqrt, sub } from '../model/graph/ops.ts';

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
 */
export function addAdamW(
  b: GraphBuilder,
  parameters: ReadonlyMap<string, Value>,
  gradients: readonly Value[],
  options: AdamWOptions,
): void {
  const learningRate = b.input('learning_rate', 'float32', []);
  const corrections = [
    b.input('correction_1', 'float32', []),
    b.input('correction_2', 'float32', []),
  ] as const;
  const norm = sqrt(b, sumOfSquares(b, gradients));
  const limit = b.scalar(options.clipNorm);
  const clip = div(b, limit, b.node('Max', [norm, limit], { type: 'float32', shape: [] }));
  [...parameters.values()].forEach((parameter, index) => {
    const raw = gradients[index];
    if (raw === undefined) throw new Error(`no gradient for ${parameter.name}`);
    const gradient = mul(b, raw, clip);
    const m = average(b, firstMomentName(parameter.name), gradient, options.beta1);
    const v = average(b, secondMomentName(parameter.name), mul(b, gradient, gradient), options.beta2);
    const scale = add(b, sqrt(b, mul(b, v, corrections[1])), b.scalar(options.epsilon));
    const step = div(b, mul(b, m, corrections[0]), scale);
    const decays = parameter.shape.length > 1 && options.weightDecay > 0;
    const direction = decays ? add(b, step, mul(b, parameter, b.scalar(options.weightDecay))) : step;
    b.output(updatedName(parameter.name), sub(b, parameter, mul(b, direction, learningRate)));
  });
  b.output('gradient_norm', norm);
}

/** The running mean `name`, moved towards `value`: an input and, updated, an output. */
function average(b: GraphBuilder, name: string, value: Value, beta: number): Value {
  const previous = b.input(name, 'float32', value.shape);
  const moved = add(b, mul(b, previous, b.scalar(beta)), mul(b, value, b.scalar(1 - beta)));
  b.output(updatedName(name), moved);
  return moved;
}

function sumOfSquares(b: GraphBuilder, values: readonly Value[]): Value {
  const sums = values.map((value) =>
    reduceSum(
      b,
      mul(b, value, value),
      value.shape.map((_, axis) => axis),
      false,
    ),
  );
  return b.node('Sum', sums, { type: 'float32', shape: [] });
}
