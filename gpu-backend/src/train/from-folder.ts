import { existsSync } from 'node:fs';
import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { outlineFolder, readTensor } from '../model/folder.ts';
import { readJson } from '../model/json-file.ts';
import { parseTokenizerJson } from '../model/tokenizer.ts';
import type { TokenizerJson } from '../model/tokenizer.ts';
import { TOKENIZER_FILE } from '../model/tokenizer-files.ts';
import type { Checkpoint } from './checkpoint.ts';
import { withFreshTensors } from './initialize.ts';
import { chooseMaskToken } from './mask-token.ts';
import type { MaskToken } from './mask-token.ts';
import type { TrainingSettings } from './settings.ts';

const CONFIG_FILE = 'config.json';
/** Tensors with a row for each token. */
const TOKEN_TABLES = ['model.embed_tokens.weight', 'lm_head.weight'];

export function isModelFolder(folder: string): boolean {
  return existsSync(path.join(folder, CONFIG_FILE));
}

/** What a folder becomes, before its weights are read. */
export interface FolderStart {
  readonly config: ModelConfig;
  readonly configJson: Record<string, unknown>;
  readonly mask: MaskToken;
  /** Reads the weights. */
  readonly load: () => Checkpoint;
}

/**
 * A model folder in Hugging Face's form as the start of a run by the paper's recipe (section 3.1): the same weights,
 * with a mask token. `maskTokenId` says which; a model that has a diffusion mode keeps its own.
 */
export function startFromFolder(
  folder: string,
  settings: TrainingSettings,
  maskTokenId: number | undefined,
): FolderStart {
  const outline = outlineFolder(folder, { adapter: 'none' });
  const { config } = outline;
  const mask = maskOf(config, tokenizerOf(folder), maskTokenId);
  const vocabSize = Math.max(config.vocabSize, mask.id + 1);
  const blockSize = Math.max(...settings.blockSizes);
  const tidar = { maskTokenId: mask.id, blockSize };
  const json = readJson(folder, CONFIG_FILE) as Record<string, unknown>;
  const configJson = withTidar({ ...json, vocab_size: vocabSize }, config, tidar);
  const load = (): Checkpoint =>
    withFreshTensors({
      settings,
      configJson,
      step: 0,
      momentsAge: 0,
      tensors: new Map(
        [...outline.tensors].map(([name, { shape }]) => {
          const data = readTensor(outline, name);
          if (!TOKEN_TABLES.includes(name)) return [name, { shape, data }] as const;
          return [name, withMaskRow(data, config, vocabSize, config.tidar ? undefined : mask.id)] as const;
        }),
      ),
    });
  return { config: { ...config, vocabSize, tidar }, configJson, mask, load };
}

/** Nemotron names these fields itself. */
function withTidar(
  json: Record<string, unknown>,
  { architecture }: ModelConfig,
  { maskTokenId, blockSize }: { maskTokenId: number; blockSize: number },
): Record<string, unknown> {
  if (architecture === 'nemotron_labs_diffusion') return { ...json, block_size: blockSize };
  return { ...json, tidar: { mask_token_id: maskTokenId, block_size: blockSize } };
}

export function tokenizerOf(folder: string): TokenizerJson | undefined {
  if (!existsSync(path.join(folder, TOKENIZER_FILE))) return undefined;
  return parseTokenizerJson(readJson(folder, TOKENIZER_FILE), TOKENIZER_FILE);
}

function maskOf(
  config: ModelConfig,
  tokenizer: TokenizerJson | undefined,
  wanted: number | undefined,
): MaskToken {
  const own = config.tidar?.maskTokenId;
  if (wanted !== undefined && own !== undefined && wanted !== own) {
    throw new TidarError(
      'invalid_request',
      `The model's mask token is ${own}; --mask-token ${wanted} is another.`,
    );
  }
  if (own !== undefined) return { id: own, origin: 'its own' };
  if (wanted === undefined) return chooseMaskToken(config.vocabSize, tokenizer);
  if (wanted <= config.vocabSize) return { id: wanted, origin: 'as told' };
  throw new TidarError(
    'invalid_request',
    `--mask-token is ${wanted}; expected an id below vocab_size ${config.vocabSize}, or ${config.vocabSize} for a new row.`,
  );
}

/** A table of token rows in which the mask's is the mean of all: nearer to any token than what an unused row holds. */
function withMaskRow(
  data: Float32Array,
  { hiddenSize, vocabSize: numRows }: ModelConfig,
  vocabSize: number,
  maskTokenId: number | undefined,
) {
  const shape = [vocabSize, hiddenSize];
  if (maskTokenId === undefined) return { shape, data };
  const mean = new Float64Array(hiddenSize);
  for (let at = 0; at < data.length; at += 1) {
    const column = at % hiddenSize;
    mean[column] = (mean[column] ?? 0) + (data[at] ?? 0) / numRows;
  }
  const table = new Float32Array(vocabSize * hiddenSize);
  table.set(data);
  table.set(mean, maskTokenId * hiddenSize);
  return { shape, data: table };
}
