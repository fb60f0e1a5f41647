import { openGraph } from '../device/graph-session.ts';
import type { GraphSession, HostTensor } from '../device/graph-session.ts';
import type { ModelConfig } from '../model/config.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { ADAMW_DEFAULTS, firstMomentName, secondMomentName, updatedName } from './adamw.ts';
import { productsOf } from './products.ts';
import type { Product } from './products.ts';
import { layOutBatch } from './batch.ts';
import type { DiffusionOptions } from './batch.ts';
import { shapeOf } from './loss-graph.ts';
import type { TrainingShape } from './loss-graph.ts';
import { trainedTensors } from './mask-adapter.ts';
import { Random } from '../data/random.ts';
import { batchTensors } from './batch-tensors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointConfig } from './checkpoint.ts';
import { learningRateAt, tokenWeights } from './settings.ts';
import type { TrainingSettings } from './settings.ts';
import type { SequenceSampler } from './sampler.ts';
import { buildTrainingGraph, evaluationGraph } from './training-graph.ts';

export interface Losses {
  readonly arLoss: number;
  readonly diffusionLoss?: number;
  readonly distillationLoss?: number;
}

export interface StepResult extends Losses {
  readonly learningRate: number;
  readonly gradientNorm: number;
}

type Tensors = Record<string, HostTensor>;

/**
 * Owns the parameters and moments of one run, twice: a step reads one set and writes the other, and then they
 * change places.
 */
export class Trainer {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  readonly #shape: TrainingShape;
  readonly #configJson: Record<string, unknown>;
  /** The matrix products of a step. */
  readonly products: readonly Product[];
  readonly #training: GraphSession;
  readonly #evaluation: GraphSession;
  #current: Tensors;
  #next: Tensors;
  #numStepsDone: number;
  readonly #momentsAge: number;

  private constructor(
    checkpoint: Checkpoint,
    {
      training,
      evaluation,
      products,
    }: { training: GraphSession; evaluation: GraphSession; products: Product[] },
  ) {
    this.products = products;
    this.config = checkpointConfig(checkpoint);
    this.settings = checkpoint.settings;
    this.#shape = shapeOf(checkpoint.settings);
    this.#configJson = checkpoint.configJson;
    this.#training = training;
    this.#evaluation = evaluation;
    this.#current = stateTensors(this.config, checkpoint);
    this.#next = Object.fromEntries(
      Object.entries(this.#current).map(([name, tensor]) => [
        name,
        { ...tensor, data: new Float32Array(tensor.data.length) },
      ]),
    );
    this.#numStepsDone = checkpoint.step;
    this.#momentsAge = checkpoint.momentsAge;
  }

  /**
   * Builds and loads the graphs. A checkpoint without moments starts with zeroed ones. Steps write over the
   * checkpoint's own memory where the trainer `takesOver` it.
   */
  static async open(
    checkpoint: Checkpoint,
    options: { numThreads: number; takesOver?: boolean },
  ): Promise<Trainer> {
    const { settings } = checkpoint;
    const config = checkpointConfig(checkpoint);
    const { alpha, distillWeight, weightDecay, clipNorm } = settings;
    const shape = shapeOf(settings);
    const weights = { alpha, distill: distillWeight };
    const optimizer = { ...ADAMW_DEFAULTS, weightDecay, clipNorm };
    const builder = buildTrainingGraph(config, shape, weights, optimizer);
    const training = await openGraph(serializeModel(builder, 'tidar_train'), options);
    const evaluation = await openGraph(evaluationGraph(config, evaluationShape(shape), weights), options);
    const own = options.takesOver === true ? checkpoint : copyOf(checkpoint);
    return new Trainer(own, { training, evaluation, products: productsOf(builder) });
  }

  get numStepsDone(): number {
    return this.#numStepsDone;
  }

  /** One step on the sampler's next batch. */
  async step(sampler: SequenceSampler): Promise<StepResult> {
    const step = this.#numStepsDone;
    const learningRate = learningRateAt(this.settings, step);
    const { beta1, beta2 } = ADAMW_DEFAULTS;
    const numUpdates = this.#momentsAge + step + 1;
    const inputs = {
      ...this.#trainingBatch(sampler, step),
      ...this.#current,
      learning_rate: scalar(learningRate),
      correction_1: scalar(1 / (1 - beta1 ** numUpdates)),
      correction_2: scalar(1 / (1 - beta2 ** numUpdates)),
    };
    const into = Object.fromEntries(
      Object.entries(this.#next).map(([name, tensor]) => [updatedName(name), tensor]),
    );
    const outputs = await this.#training.run(inputs, into);
    [this.#current, this.#next] = [this.#next, this.#current];
    this.#numStepsDone += 1;
    return { ...lossesOf(outputs), learningRate, gradientNorm: first(outputs, 'gradient_norm') };
  }

  /** Mean losses over the first `numBatches` batches of another sampler's text. */
  async evaluate(sampler: SequenceSampler, numBatches: number): Promise<Losses> {
    let [arLoss, diffusionLoss] = [0, 0];
    for (let index = 0; index < numBatches; index += 1) {
      const inputs = { ...this.#heldOutBatch(sampler, index), ...this.#parameters() };
      const losses = lossesOf(await this.#evaluation.run(inputs));
      arLoss += losses.arLoss / numBatches;
      diffusionLoss += (losses.diffusionLoss ?? 0) / numBatches;
    }
    return this.settings.arOnly ? { arLoss } : { arLoss, diffusionLoss };
  }

  /** A copy of the run's state, from which another trainer goes on exactly. */
  checkpoint(): Checkpoint {
    return copyOf(this.state());
  }

  /** The same without a copy: the next steps write over it. */
  state(): Checkpoint {
    const tensors = new Map(
      Object.entries(this.#current).map(([name, { shape, data }]) => {
        if (!(data instanceof Float32Array)) throw new TypeError(`${name} is not float32`);
        return [name, { shape, data }] as const;
      }),
    );
    return {
      settings: this.settings,
      configJson: this.#configJson,
      step: this.#numStepsDone,
      momentsAge: this.#momentsAge,
      tensors,
    };
  }

  async dispose(): Promise<void> {
    await this.#training.dispose();
    await this.#evaluation.dispose();
  }

  #parameters(): Tensors {
    const names = trainedTensors(this.config, this.settings).keys();
    return Object.fromEntries(
      [...names].flatMap((name) => {
        const tensor = this.#current[name];
        return tensor === undefined ? [] : [[name, tensor] as const];
      }),
    );
  }

  /** What a step trains on. */
  #trainingBatch(sampler: SequenceSampler, step: number): Tensors {
    const maskShares = sampler.maskSharesAt(step);
    return this.#batch(this.#shape, sampler.batchAt(step), {
      blockSize: sampler.blockSizeAt(step),
      blockOffset: sampler.blockOffsetAt(step),
      ...(maskShares === undefined ? {} : { maskShares }),
      turn: step,
    });
  }

  /** Held-out text, the same for all settings: masks alone, blocks of each size in turn, from anywhere. */
  #heldOutBatch(sampler: SequenceSampler, index: number): Tensors {
    const { blockSizes } = this.settings;
    const blockSize = blockSizes[index % blockSizes.length] ?? 1;
    const blockOffset = new Random(index).integer(0, blockSize - 1);
    return this.#batch(evaluationShape(this.#shape), sampler.batchAt(index), { blockSize, blockOffset });
  }

  #batch(
    shape: TrainingShape,
    sequences: readonly ArrayLike<number>[],
    layout: Omit<DiffusionOptions, 'maskTokenId' | 'window'>,
  ): Tensors {
    const { questionWeight } = this.settings;
    const { window, numTokens, numMaskRows = numTokens } = shape;
    const maskTokenId = this.config.tidar?.maskTokenId;
    if (window > 0 && maskTokenId === undefined) throw new Error('a model without a mask token');
    const diffusion =
      maskTokenId === undefined || window === 0 ? undefined : { maskTokenId, window, numMaskRows, ...layout };
    const weightsOf =
      questionWeight && ((sequence: ArrayLike<number>) => tokenWeights(questionWeight, sequence));
    return batchTensors(layOutBatch(sequences, diffusion, weightsOf), shape);
  }
}

function copyOf(checkpoint: Checkpoint): Checkpoint {
  const copies = [...checkpoint.tensors].map(
    ([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }] as const,
  );
  return { ...checkpoint, tensors: new Map(copies) };
}

/** Parameters and their moments as the graph's inputs. */
function stateTensors(config: ModelConfig, checkpoint: Checkpoint): Tensors {
  const tensors: Tensors = {};
  for (const [name, shape] of trainedTensors(config, checkpoint.settings)) {
    const parameter = checkpoint.tensors.get(name);
    if (parameter === undefined) throw new Error(`the checkpoint lacks ${name}`);
    tensors[name] = { type: 'float32', data: parameter.data, shape };
    for (const moment of [firstMomentName(name), secondMomentName(name)]) {
      const data = checkpoint.tensors.get(moment)?.data ?? new Float32Array(parameter.data.length);
      tensors[moment] = { type: 'float32', data, shape };
    }
  }
  return tensors;
}

/** Held-out losses are over all mask rows. */
function evaluationShape(shape: TrainingShape): TrainingShape {
  return { ...shape, numMaskRows: shape.numTokens };
}

function scalar(value: number): HostTensor {
  return { type: 'float32', data: Float32Array.of(value), shape: [] };
}

function lossesOf(outputs: Record<string, Float32Array>): Losses {
  return {
    arLoss: first(outputs, 'ar_loss'),
    ...('diffusion_loss' in outputs ? { diffusionLoss: first(outputs, 'diffusion_loss') } : {}),
    ...('distillation_loss' in outputs ? { distillationLoss: first(outputs, 'distillation_loss') } : {}),
  };
}

function first(outputs: Record<string, Float32Array>, name: string): number {
  const value = outputs[name]?.[0];
  if (value === undefined) throw new Error(`the training graph has no output ${name}`);
  return value;
}
