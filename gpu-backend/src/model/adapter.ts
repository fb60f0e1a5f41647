import { existsSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import type { ModelConfig } from './config.ts';
import { invalidFile, readJson } from './json-file.ts';
import { expectedTensors, nameInFile } from './tensor-names.ts';
import { checkTensor, tensorsOf } from './weights.ts';
import type { FoundTensor, TensorRef } from './weights.ts';

/** Rows that an adapter acts on: mask rows, which only draft, or all of them, as merged weights would. */
export const ADAPTER_ROWS = ['masks', 'all'] as const;
export type AdapterRows = (typeof ADAPTER_ROWS)[number];

/** A low-rank addition to one weight: x · Aᵀ · Bᵀ · scale is added to x · Wᵀ. */
export interface LowRank {
  /** [rank, in] */
  readonly a: TensorRef;
  /** [out, rank] */
  readonly b: TensorRef;
  readonly scale: number;
}

export interface Adapter {
  readonly path: string;
  readonly rows: AdapterRows;
  /** By the canonical name of the weight, "model.layers.0.self_attn.o_proj.weight" say. */
  readonly weights: ReadonlyMap<string, LowRank>;
}

/** Both factors of every weight that it adds to; none where there is no adapter. */
export function adapterTensors(adapter: Pick<Adapter, 'weights'> | undefined): TensorRef[] {
  return [...(adapter?.weights.values() ?? [])].flatMap(({ a, b }) => [a, b]);
}

/** The folder in which Nemotron-Labs-Diffusion brings the adapter of its drafts. */
export const OWN_ADAPTER_FOLDER = 'linear_spec_lora';
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

const off = z.union([z.literal(false), z.null()]).optional();
const empty = z.union([z.null(), z.record(z.string(), z.never()), z.array(z.never())]).optional();
/** Whatever would change the numbers in a way that is not implemented is refused by name. */
const schema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().nullish(),
  use_dora: off,
  fan_in_fan_out: off,
  lora_bias: off,
  bias: z.literal('none').optional(),
  rank_pattern: empty,
  alpha_pattern: empty,
  modules_to_save: empty,
});

/** Reads a PEFT folder's LoRA for a model of `config`. `path` is absolute, sentences name files from `modelPath` on. */
export function loadAdapter(
  path: string,
  modelPath: string,
  config: ModelConfig,
  rows: AdapterRows,
): Adapter {
  const shown = (file: string): string => {
    const inside = relative(modelPath, path);
    return join(inside.startsWith('..') || isAbsolute(inside) ? path : inside, file);
  };
  const { r, lora_alpha: alpha, use_rslora: isRankStabilized } = readAdapterConfig(path, shown);
  const scale = alpha / (isRankStabilized === true ? Math.sqrt(r) : r);
  const weights = new Map<string, LowRank>();
  const found = new Map(
    tensorsOf(path, ADAPTER_WEIGHTS_FILE).map((tensor) => [
      tensor.name,
      { ...tensor, fileName: shown(ADAPTER_WEIGHTS_FILE) },
    ]),
  );
  for (const [name, [numOutputs = 0, numInputs = 0]] of expectedTensors(config)) {
    const names = pairNames(nameInFile(config.architecture, name));
    if (!found.has(names.a) && !found.has(names.b)) continue;
    const whole = shown(ADAPTER_WEIGHTS_FILE);
    const take = (side: string, shape: number[]): TensorRef =>
      checkTensor(side, shape, found.get(side), whole);
    const pair = { a: take(names.a, [r, numInputs]), b: take(names.b, [numOutputs, r]), scale };
    weights.set(name, pair);
  }
  refuseSurprises(found, weights, shown(ADAPTER_WEIGHTS_FILE));
  if (rows === 'masks' && config.tidar === undefined) {
    throw new TidarError(
      'unsupported_model',
      `${shown('')}: an adapter of mask rows needs a diffusion mode.`,
    );
  }
  return { path, rows, weights };
}

function readAdapterConfig(path: string, shown: (file: string) => string): z.infer<typeof schema> {
  if (!existsSync(join(path, ADAPTER_CONFIG_FILE))) {
    throw invalidFile(shown(ADAPTER_CONFIG_FILE), 'the file is missing.');
  }
  const json = readJson(path, ADAPTER_CONFIG_FILE);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path[0] ?? '';
  const value = (json as Record<PropertyKey, unknown> | null)?.[field];
  throw new TidarError(
    'unsupported_model',
    `${shown(ADAPTER_CONFIG_FILE)}: ${String(field)} is ${JSON.stringify(value) ?? 'missing'}, which is not ` +
      'implemented; supported: LORA of one rank, without biases, DoRA or saved modules.',
  );
}

/** PEFT's names of a weight's two factors. */
function pairNames(inFile: string): { a: string; b: string } {
  const stem = `base_model.model.${inFile.replace(/\.weight$/, '')}`;
  return { a: `${stem}.lora_A.weight`, b: `${stem}.lora_B.weight` };
}

/** Projections of the layers are what the graph adds to; an adapter of anything else would be left out silently. */
function refuseSurprises(
  found: ReadonlyMap<string, FoundTensor>,
  weights: ReadonlyMap<string, LowRank>,
  fileName: string,
): void {
  const used = new Set(adapterTensors({ weights }).map(({ name }) => name));
  const unused = [...found.keys()].find((name) => !used.has(name));
  if (unused !== undefined)
    throw invalidFile(fileName, `found tensor ${unused}, which fits no weight of the model.`);
  const other = [...weights.keys()].find((name) => !/_proj\.weight$/.test(name));
  if (other !== undefined) {
    throw new TidarError('unsupported_model', `${fileName}: an adapter of ${other} is not implemented.`);
  }
  if (weights.size === 0) throw invalidFile(fileName, 'found no factors of any weight of the model.');
}
