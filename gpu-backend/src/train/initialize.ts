import { parseModelConfig } from '../model/config.ts';
import { Random } from '../data/random.ts';
import { firstMomentName, secondMomentName } from './adamw.ts';
import type { Checkpoint } from './checkpoint.ts';
import { isZeroAtStart, trainedTensors } from './mask-adapter.ts';
import type { ModelSize, TrainingSettings } from './settings.ts';

/** Standard deviation of fresh weights; what writes to the residual stream starts smaller with depth. */
const INITIAL_DEVIATION = 0.02;

/** What a config.json says of its vocabulary. */
export interface SpecialTokenIds {
  readonly vocabSize: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly maskTokenId: number;
}

/** A fresh Llama-style model, ready for its first step. */
export function initialCheckpoint(
  size: ModelSize,
  tokens: SpecialTokenIds,
  settings: TrainingSettings,
): Checkpoint {
  const configJson = llamaConfigJson(size, tokens, Math.max(...settings.blockSizes));
  return withFreshTensors({ settings, configJson, step: 0, momentsAge: 0, tensors: new Map() });
}

/**
 * The same weights under new settings, from step 0 of their schedule and data. The moments start over, or are kept
 * with their age, by which their bias is corrected. A new adapter starts fresh, one that has no place is left out.
 */
export function restartedCheckpoint(
  from: Checkpoint,
  settings: TrainingSettings,
  options: { keepsMoments: boolean } = { keepsMoments: false },
): Checkpoint {
  const configJson = withBlockSize(from.configJson, settings);
  const shapes = trainedTensors(parseModelConfig(configJson, 'config.json'), settings);
  const wanted = new Set(
    [...shapes].flatMap(([name, shape]) => {
      if (from.tensors.get(name)?.shape.join() !== shape.join()) return [];
      return options.keepsMoments ? [name, firstMomentName(name), secondMomentName(name)] : [name];
    }),
  );
  const tensors = new Map([...from.tensors].filter(([name]) => wanted.has(name)));
  const momentsAge = options.keepsMoments ? from.momentsAge + from.step : 0;
  return withFreshTensors({ settings, configJson, step: 0, momentsAge, tensors });
}

/** The checkpoint with fresh weights for what it lacks. */
export function withFreshTensors(checkpoint: Checkpoint): Checkpoint {
  const { settings, configJson, tensors } = checkpoint;
  const config = parseModelConfig(configJson, 'config.json');
  const random = new Random(settings.seed);
  const missing = [...trainedTensors(config, settings)]
    .filter(([name]) => !tensors.has(name))
    .map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
      if (shape.length === 1) data.fill(1);
      else if (!isZeroAtStart(name)) fillNormal(data, random, deviation(name, config.numLayers));
      return [name, { shape, data }] as const;
    });
  return { ...checkpoint, tensors: new Map([...tensors, ...missing]) };
}

/** The largest block that is trained: what a server drafts at most by default. */
function withBlockSize(json: Record<string, unknown>, { arOnly, blockSizes }: TrainingSettings) {
  const { tidar } = json;
  if (arOnly || typeof tidar !== 'object' || tidar === null) return json;
  return { ...json, tidar: { ...tidar, block_size: Math.max(...blockSizes) } };
}

function llamaConfigJson(size: ModelSize, tokens: SpecialTokenIds, blockSize: number) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: tokens.vocabSize,
    hidden_size: size.hiddenSize,
    num_hidden_layers: size.numLayers,
    num_attention_heads: size.numHeads,
    num_key_value_heads: size.numKeyValueHeads,
    head_dim: size.hiddenSize / size.numHeads,
    intermediate_size: size.intermediateSize,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    max_position_embeddings: size.maxPositions,
    bos_token_id: tokens.bosTokenId,
    eos_token_id: tokens.eosTokenId,
    torch_dtype: 'float16',
    tidar: { mask_token_id: tokens.maskTokenId, block_size: blockSize },
  };
}

function deviation(name: string, numLayers: number): number {
  const writesToResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
  return writesToResidual ? INITIAL_DEVIATION / Math.sqrt(2 * numLayers) : INITIAL_DEVIATION;
}

/** Box-Muller over the seeded generator. */
function fillNormal(data: Float32Array, random: Random, standardDeviation: number): void {
  const uniform = (): number => (random.nextUint32() + 0.5) / 2 ** 32;
  for (let index = 0; index < data.length; index += 1) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    data[index] = standardDeviation * radius * Math.cos(2 * Math.PI * uniform());
  }
}
