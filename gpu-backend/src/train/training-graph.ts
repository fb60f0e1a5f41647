import type { ModelConfig } from '../model/config.ts';
import type { GraphBuilder } from '../model/graph/builder.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { addAdamW } from './adamw.ts';
import type { AdamWOptions } from './adamw.ts';
import { gradients } from './autodiff.ts';
import { buildLossGraph } from './loss-graph.ts';
import type { LossGraph, LossWeights, TrainingShape } from './loss-graph.ts';

/** Forward, backward and AdamW in one graph: one run is one training step. */
export function buildTrainingGraph(
  config: ModelConfig,
  shape: TrainingShape,
  weights: LossWeights,
  optimizer: AdamWOptions,
): GraphBuilder {
  const graph = buildLossGraph(config, shape, weights);
  const computed = gradients(graph.b, graph.loss, [...graph.parameters.values()], graph.custom);
  addAdamW(graph.b, graph.parameters, computed, optimizer);
  outputLosses(graph);
  return graph.b;
}

/** The losses alone, for held-out text. */
export function evaluationGraph(config: ModelConfig, shape: TrainingShape, weights: LossWeights): Uint8Array {
  const graph = buildLossGraph(config, shape, weights);
  outputLosses(graph);
  return serializeModel(graph.b, 'tidar_evaluate');
}

function outputLosses(graph: LossGraph): void {
  graph.b.output('ar_loss', graph.arLoss);
  if (graph.diffusionLoss === undefined) return;
  graph.b.output('diffusion_loss', graph.diffusionLoss);
  if (graph.distillationLoss !== undefined) graph.b.output('distillation_loss', graph.distillationLoss);
  graph.b.output('loss', graph.loss);
}
