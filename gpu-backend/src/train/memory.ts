import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import { ADAMW_DEFAULTS } from './adamw.ts';
import { shapeOf } from './loss-graph.ts';
import { trainedTensors } from './mask-adapter.ts';
import type { TrainingSettings } from './settings.ts';
import { buildTrainingGraph } from './training-graph.ts';

/** Bytes that a run needs, by what they hold. */
export interface MemoryPlan {
  readonly numParameters: number;
  /** Weights and both moments, twice: a step reads one set and writes the other. */
  readonly stateBytes: number;
  /**
   * Gradients and what the backward pass needs of the forward pass, at the step's fullest moment, as onnxruntime's
   * arena holds it at worst: it grows to powers of two.
   */
  readonly stepBytes: number;
}

const BYTES = 4;
const NUM_COPIES = 3 * 2;
const ARENA = 2;
/** Node and onnxruntime themselves. */
const PROGRAM_BYTES = 3e8;

export function planMemory(config: ModelConfig, settings: TrainingSettings): MemoryPlan {
  const { alpha, distillWeight } = settings;
  const graph = buildTrainingGraph(
    config,
    shapeOf(settings),
    { alpha, distill: distillWeight },
    ADAMW_DEFAULTS,
  );
  const numParameters = numParametersOf(config, settings);
  return {
    numParameters,
    stateBytes: numParameters * BYTES * NUM_COPIES,
    stepBytes: ARENA * peakBytes(graph),
  };
}

function numParametersOf(config: ModelConfig, settings: TrainingSettings): number {
  let sum = 0;
  for (const shape of trainedTensors(config, settings).values())
    sum += shape.reduce((size, dim) => size * dim, 1);
  return sum;
}

/** The most bytes that values between nodes take at once, in the nodes' order; inputs and outputs live elsewhere. */
export function peakBytes(b: GraphBuilder): number {
  const owners = aliases(b);
  const outputs = new Set(b.outputs.map(({ name }) => owners.get(name) ?? name));
  const lastUse = new Map<string, number>();
  b.nodes.forEach(({ inputs }, at) => {
    for (const { name } of inputs) lastUse.set(owners.get(name) ?? name, at);
  });
  const dying = new Map<number, string[]>();
  for (const [name, at] of lastUse) dying.set(at, [...(dying.get(at) ?? []), name]);
  const live = new Map<string, number>();
  let [bytes, peak] = [0, 0];
  b.nodes.forEach((node, at) => {
    for (const value of node.outputs) {
      if (value.name === '' || owners.has(value.name) || outputs.has(value.name)) continue;
      live.set(value.name, bytesOf(value));
      bytes += bytesOf(value);
    }
    peak = Math.max(peak, bytes);
    for (const name of dying.get(at) ?? []) {
      bytes -= live.get(name) ?? 0;
      live.delete(name);
    }
  });
  return peak;
}

/** Reshaped values, which share the memory of what they were made of, by name. */
function aliases(b: GraphBuilder): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { opType, inputs, outputs } of b.nodes) {
    const [from, to] = [inputs[0], outputs[0]];
    if (opType === 'Reshape' && from && to) owners.set(to.name, owners.get(from.name) ?? from.name);
  }
  return owners;
}

function bytesOf({ type, shape }: Value): number {
  const size = type === 'int64' ? 2 * BYTES : BYTES;
  return shape.reduce<number>((product, dim) => product * Number(dim), size);
}

export function describeMemory({ numParameters, stateBytes, stepBytes }: MemoryPlan): string {
  return (
    `${(numParameters / 1e6).toFixed(2)}M parameters; memory: ${inGigabytes(stateBytes)} for weights and moments, twice; ` +
    `up to ${inGigabytes(stepBytes)} for a step`
  );
}

/** Refuses a run that would be killed in its middle. */
export function assertFits(plan: MemoryPlan, availableBytes: number): void {
  const needed = plan.stateBytes + plan.stepBytes + PROGRAM_BYTES;
  if (needed <= availableBytes) return;
  throw new TidarError(
    'invalid_request',
    `${describeMemory(plan)}: ${inGigabytes(needed)} in all, and ${inGigabytes(availableBytes)} are free. ` +
      'A smaller --batch or --length needs less for a step; weights and moments take 24 bytes a parameter.',
  );
}

const inGigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
