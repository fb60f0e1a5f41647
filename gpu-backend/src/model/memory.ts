import { totalmem } from 'node:os';
import { TidarError } from '@tidar/shared/errors.ts';
import { adapterTensors } from './adapter.ts';
import type { ModelConfig } from './config.ts';
import type { ModelOutline } from './folder.ts';
import { heldBytes, numScales, packedBytes, productShapes } from './quantization/scheme.ts';
import { numElements } from './safetensors.ts';

/** What a model takes, in bytes, where its products are computed in some type. */
export interface MemoryNeed {
  /** Weights as the device holds them. */
  readonly weights: number;
  /** Of the files, what is read where it lies: the system takes it back when it needs room. */
  readonly mapped: number;
  /** Keys and values of 1,000 tokens of one text. */
  readonly cachePerThousandTokens: number;
  /** Activations and logits of the largest pass, and the process itself. */
  readonly workspace: number;
}

/** A prompt's part of a pass, and the rows of a pass whose logits are read at most; see decode/planned-engine.ts. */
const PASS_ROWS = 256;
const LOGIT_ROWS = 96;
/** Node and onnxruntime themselves: 100 to 130 MiB measured. */
const PROCESS_BYTES = 150 * 2 ** 20;
const CACHE_TOKENS = 1000;
const TOKEN_TABLE = 'model.embed_tokens.weight';

export function countParameters({ tensors }: Pick<ModelOutline, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { shape }) => sum + numElements(shape), 0);
}

/**
 * The CPU computes in float32: products' weights are widened, or packed where they were float32 already, once; the
 * token table is read where it lies. Measured: see docs/models.md.
 */
export function cpuMemory(outline: ModelOutline): MemoryNeed {
  const { config, adapter, quantization } = outline;
  const tensors = [...outline.tensors.values()];
  const table = outline.tensors.get(TOKEN_TABLE);
  const multiplied = config.tieWordEmbeddings ? tensors : tensors.filter((tensor) => tensor !== table);
  const products = quantization === undefined ? [] : productShapes(config, quantization);
  const inFewerBits = new Set(products.flatMap(({ weights }) => weights));
  const held = [...multiplied, ...adapterTensors(adapter)].filter(({ name }) => !inFewerBits.has(name));
  const elements = held.reduce((sum, { shape }) => sum + numElements(shape), 0);
  return {
    weights: 4 * elements + products.reduce((sum, product) => sum + heldBytes(product), 0),
    mapped: table?.byteLength ?? 0,
    ...perToken(config, 4),
  };
}

/** A device that computes in a type of so many bytes holds every weight in it once. */
export function deviceMemory(outline: ModelOutline, bytesPerElement: number): MemoryNeed {
  const { config, quantization } = outline;
  const products = quantization === undefined ? [] : productShapes(config, quantization);
  const inFewerBits = new Set(products.flatMap(({ weights }) => weights));
  // The token table is read as it was, also where the head that is tied to it has fewer bits.
  const others = [...outline.tensors].filter(([name]) => name === TOKEN_TABLE || !inFewerBits.has(name));
  const elements = others.reduce((sum, [, { shape }]) => sum + numElements(shape), 0);
  const packed = products.map((product) => packedBytes(product) + bytesPerElement * numScales(product));
  return {
    weights: bytesPerElement * elements + packed.reduce((sum, bytes) => sum + bytes, 0),
    mapped: 0,
    ...perToken(config, bytesPerElement),
  };
}

function perToken(
  config: ModelConfig,
  bytesPerElement: number,
): Pick<MemoryNeed, 'cachePerThousandTokens' | 'workspace'> {
  const { numLayers, numHeads, numKeyValueHeads, headDim, hiddenSize, intermediateSize, vocabSize } = config;
  const column = 2 * numLayers * numKeyValueHeads * headDim * bytesPerElement;
  const width = 6 * hiddenSize + 3 * intermediateSize + 3 * (numHeads + 2 * numKeyValueHeads) * headDim;
  // Logits and their log-probabilities.
  const logits = 2 * LOGIT_ROWS * vocabSize * 4;
  return {
    cachePerThousandTokens: CACHE_TOKENS * column,
    workspace: PASS_ROWS * width * bytesPerElement + logits + PROCESS_BYTES,
  };
}

/** The least that serves anything: one text of 1,000 tokens. */
export function leastBytes({ weights, cachePerThousandTokens, workspace }: MemoryNeed): number {
  return weights + cachePerThousandTokens + workspace;
}

/** One line of what is needed. */
export function describeMemory({ weights, cachePerThousandTokens, workspace }: MemoryNeed): string {
  const cache = `${formatBytes(cachePerThousandTokens)} for each 1,000 tokens of context`;
  return `weights ${formatBytes(weights)}, cache ${cache}, workspace ${formatBytes(workspace)}`;
}

/** Memory that can be had now. macOS calls little of it free, since it keeps files in the rest: all counts there. */
export function availableBytes(): number {
  return process.platform === 'darwin' ? totalmem() : process.availableMemory();
}

/** Refuses, with numbers, a model that would be ended by the system half-way. */
export function assertFits(name: string, need: MemoryNeed, available = availableBytes()): void {
  if (leastBytes(need) <= available) return;
  throw new TidarError(
    'unsupported_model',
    `${name} does not fit: it needs ${formatBytes(leastBytes(need))} (${describeMemory(need)}), and ` +
      `${formatBytes(available)} are free.`,
  );
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power] ?? ''}`;
}
