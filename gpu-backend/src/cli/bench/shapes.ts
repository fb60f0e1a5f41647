import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { philox4x32 } from '@tidar/shared/philox.ts';
import { expectedTensors, parseModelConfig } from '../../model/config.ts';
import { readJson } from '../../model/json-file.ts';
import { numElements, readSafetensorsHeader } from '../../model/safetensors.ts';
import { safetensorsHeader, writeAll } from '../../model/safetensors-writer.ts';
import { FlagError } from '../flags.ts';

/** Models that have a real one's size and random weights: for what a step costs, never for what a model says. */
export interface Shape {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly blockSize: number;
}

export const SHAPES = {
  '100m': {
    hiddenSize: 768,
    numLayers: 12,
    numHeads: 12,
    numKeyValueHeads: 4,
    intermediateSize: 2048,
    vocabSize: 16_384,
    blockSize: 16,
  },
  '400m': {
    hiddenSize: 1024,
    numLayers: 24,
    numHeads: 16,
    numKeyValueHeads: 4,
    intermediateSize: 4096,
    vocabSize: 32_768,
    blockSize: 16,
  },
  vocab131k: {
    hiddenSize: 256,
    numLayers: 4,
    numHeads: 4,
    numKeyValueHeads: 2,
    intermediateSize: 640,
    vocabSize: 131_072,
    blockSize: 16,
  },
} as const satisfies Record<string, Shape>;
export type ShapeName = keyof typeof SHAPES;

const SHAPES_FOLDER = fileURLToPath(new URL('../../../../.runs/shapes', import.meta.url));
/** A model that was never trained: logits of a standard deviation below 1. */
const DEVIATION = 0.02;
const MAX_POSITIONS = 16_384;
/** Changes when the same seed would give other weights. */
const GENERATOR = 'normal-table-3';

export function parseShapeName(name: string): ShapeName {
  const found = (Object.keys(SHAPES) as ShapeName[]).find((known) => known === name);
  if (found !== undefined) return found;
  throw new FlagError(`--shape must be ${Object.keys(SHAPES).join(', ')}; got "${name}".`);
}

/** The model folder of a shape, made on first use and kept in .runs/shapes. */
export function shapeFolder(name: ShapeName, seed = 1): string {
  const folder = join(SHAPES_FOLDER, seed === 1 ? name : `${name}-${seed}`);
  makeShape(folder, SHAPES[name], seed);
  return folder;
}

export function countParameters(shape: Shape): number {
  let numParameters = 0;
  for (const dimensions of shapeTensors(shape).values()) numParameters += numElements(dimensions);
  return numParameters;
}

/** Writes the folder, unless it holds this very model already. It is there wholly or not at all. */
export function makeShape(folder: string, shape: Shape, seed: number): void {
  if (isMade(folder, shape, seed)) return;
  const temporary = `${folder}.${process.pid}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    writeFileSync(join(temporary, 'config.json'), `${JSON.stringify(configJson(shape), null, 2)}\n`);
    writeWeights(join(temporary, 'model.safetensors'), shape, seed);
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function isMade(folder: string, shape: Shape, seed: number): boolean {
  if (!existsSync(join(folder, 'model.safetensors'))) return false;
  const { metadata } = readSafetensorsHeader(join(folder, 'model.safetensors'));
  const isSameConfig = JSON.stringify(readJson(folder, 'config.json')) === JSON.stringify(configJson(shape));
  return isSameConfig && metadata['generator'] === GENERATOR && metadata['seed'] === String(seed);
}

function configJson(shape: Shape): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: shape.vocabSize,
    hidden_size: shape.hiddenSize,
    num_hidden_layers: shape.numLayers,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numKeyValueHeads,
    head_dim: shape.hiddenSize / shape.numHeads,
    intermediate_size: shape.intermediateSize,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    max_position_embeddings: MAX_POSITIONS,
    bos_token_id: 0,
    // No token ends a text: how long it gets is the bench's to say.
    eos_token_id: [],
    torch_dtype: 'float32',
    tidar: { mask_token_id: shape.vocabSize - 1, block_size: shape.blockSize },
  };
}

function shapeTensors(shape: Shape): Map<string, number[]> {
  return expectedTensors(parseModelConfig(configJson(shape), 'config.json'));
}

/** One tensor at a time, in the order of the header. */
function writeWeights(path: string, shape: Shape, seed: number): void {
  const tensors = shapeTensors(shape);
  const file = openSync(path, 'w');
  try {
    const headers = [...tensors].map(
      ([name, dimensions]) => ({ name, dtype: 'F32', shape: dimensions }) as const,
    );
    writeAll(file, safetensorsHeader(headers, { generator: GENERATOR, seed: String(seed) }));
    const normal = new NormalNumbers(seed);
    for (const [name, dimensions] of tensors) {
      const data = new Float32Array(numElements(dimensions));
      if (dimensions.length === 1) data.fill(1);
      else normal.fill(data, deviation(name, shape.numLayers));
      writeAll(file, new Uint8Array(data.buffer));
    }
  } finally {
    closeSync(file);
  }
}

/** What writes to the residual stream starts smaller with depth, as in training. */
function deviation(name: string, numLayers: number): number {
  const writesToResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
  return writesToResidual ? DEVIATION / Math.sqrt(2 * numLayers) : DEVIATION;
}

const TABLE_SIZE = 65_536;

/** Draws from 65,536 normal numbers that float16 holds exactly, so that engines may keep the weights in either type. */
class NormalNumbers {
  readonly #table = new Float32Array(TABLE_SIZE);
  readonly #seed: number;
  readonly #words = new Uint32Array(4);
  #numBlocks = 0;

  constructor(seed: number) {
    this.#seed = seed;
    for (let index = 0; index < TABLE_SIZE; index += 2) {
      const [a, b, c, d] = Array.from(this.#nextWords(), (word) => (word + 0.5) / 2 ** 32);
      this.#table[index] = boxMuller(a ?? 0.5, b ?? 0.5);
      this.#table[index + 1] = boxMuller(c ?? 0.5, d ?? 0.5);
    }
  }

  fill(data: Float32Array, standardDeviation: number): void {
    const table = this.#table.map((value) => Math.f16round(value * standardDeviation));
    for (let index = 0; index < data.length; index += 8) {
      const words = this.#nextWords();
      for (let at = 0; at < 4; at++) {
        const word = words[at] ?? 0;
        data[index + 2 * at] = table[word & 0xffff] ?? 0;
        data[index + 2 * at + 1] = table[word >>> 16] ?? 0; // past the end, typed arrays ignore it
      }
    }
  }

  #nextWords(): Uint32Array {
    philox4x32(this.#numBlocks++, 0, 0, 0, this.#seed, 0, this.#words);
    return this.#words;
  }
}

function boxMuller(first: number, second: number): number {
  return Math.sqrt(-2 * Math.log(first)) * Math.cos(2 * Math.PI * second);
}
