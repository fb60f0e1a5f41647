import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, OWN_ADAPTER_FOLDER } from '../model/adapter.ts';
import type { ModelConfig } from '../model/config.ts';
import { expectedTensors } from '../model/config.ts';
import type { FloatDtype } from '../model/float16.ts';
import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import type { Adapt } from '../model/graph/decoder.ts';
import { add, gemm, mul, reshape } from '../model/graph/ops.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { nameInFile } from '../model/tensor-names.ts';
import type { TrainingSettings } from './settings.ts';

/** What the adapter adds to: the two products of a layer that write to the residual stream. */
const ADAPTED = ['self_attn.o_proj', 'mlp.down_proj'];
const PREFIX = 'adapter.';

interface Factors {
  /** [rank, in] */
  readonly a: string;
  /** [out, rank] */
  readonly b: string;
}

/** What the factors of a weight are called in a checkpoint. */
function factorsOf(weight: string): Factors {
  const stem = `${PREFIX}${weight.replace(/\.weight$/, '')}`;
  return { a: `${stem}.lora_A`, b: `${stem}.lora_B` };
}

function adaptedWeights(config: ModelConfig): [name: string, shape: number[]][] {
  return [...expectedTensors(config)].filter(([name]) =>
    ADAPTED.some((adapted) => name.endsWith(`${adapted}.weight`)),
  );
}

/** Everything that a run trains, with its shape: the model, and the mask rows' adapter where there is one. */
export function trainedTensors(
  config: ModelConfig,
  { maskAdapterRank: rank }: Pick<TrainingSettings, 'maskAdapterRank'>,
): Map<string, number[]> {
  const tensors = expectedTensors(config);
  if (rank === 0) return tensors;
  for (const [name, [numOutputs = 0, numInputs = 0]] of adaptedWeights(config)) {
    const { a, b } = factorsOf(name);
    tensors.set(a, [rank, numInputs]);
    tensors.set(b, [numOutputs, rank]);
  }
  return tensors;
}

/** Factors that add nothing yet start as LoRA's do: A at random, B zero. */
export const isZeroAtStart = (name: string): boolean => name.startsWith(PREFIX) && name.endsWith('.lora_B');

/** Adds x · Aᵀ · Bᵀ to the adapted products, on rows that hold the mask token alone, as it is served. */
export function maskAdapt(
  b: GraphBuilder,
  parameters: ReadonlyMap<string, Value>,
  { tokenIds, maskTokenId }: { tokenIds: Value; maskTokenId: number },
): Adapt {
  const [numRows = 0] = tokenIds.shape;
  const mask = b.constant('int64', [], BigInt64Array.of(BigInt(maskTokenId)));
  const isMask = b.node('Equal', [tokenIds, mask], { type: 'bool', shape: [numRows] });
  const gate = b.node('Cast', [isMask], { type: 'float32', shape: [numRows] }, { to: 1 });
  const column = reshape(b, gate, [numRows, 1]);
  // What it adapts are products of one weight each.
  return (layer, [weight = ''], input, product) => {
    const names = factorsOf(`model.layers.${layer}.${weight}`);
    const [down, up] = [parameters.get(names.a), parameters.get(names.b)];
    if (down === undefined || up === undefined) return product;
    const inner = mul(b, gemm(b, input, down, { transY: true }), column);
    return add(b, product, gemm(b, inner, up, { transY: true }));
  };
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Writes the adapter as a PEFT folder inside the model's, where the backend looks for that of mask rows. */
export function exportAdapter(
  config: ModelConfig,
  rank: number,
  tensors: Tensors,
  { folder, dtype }: { folder: string; dtype: FloatDtype },
): void {
  const own = path.join(folder, OWN_ADAPTER_FOLDER);
  mkdirSync(own, { recursive: true });
  const json = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    r: rank,
    lora_alpha: rank,
    lora_dropout: 0,
    bias: 'none',
    target_modules: ADAPTED.map((name) => name.split('.').at(-1)),
  };
  writeFileSync(path.join(own, ADAPTER_CONFIG_FILE), `${JSON.stringify(json, null, 2)}\n`);
  const factors = adaptedWeights(config).flatMap(([name]) => {
    const inFile = nameInFile(config.architecture, name).replace(/\.weight$/, '');
    const names = factorsOf(name);
    return (['A', 'B'] as const).flatMap((side) => {
      const tensor = tensors.get(side === 'A' ? names.a : names.b);
      if (tensor === undefined) return [];
      return [{ ...tensor, dtype, name: `base_model.model.${inFile}.lora_${side}.weight` }];
    });
  });
  writeSafetensors(path.join(own, ADAPTER_WEIGHTS_FILE), factors, { format: 'pt' });
}
