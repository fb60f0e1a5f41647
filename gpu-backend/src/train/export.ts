import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectedTensors } from '../model/config.ts';
import type { FloatDtype } from '../model/float16.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { nameInFile } from '../model/tensor-names.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointConfig } from './checkpoint.ts';
import { exportAdapter } from './mask-adapter.ts';

const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'generation_config.json',
];

/** By the names that config.json and --dtype have. */
export const DTYPES: Readonly<Record<string, FloatDtype>> = {
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
};

/**
 * Writes a checkpoint as a Hugging Face folder that the backend serves: weights of the type that its config.json
 * names, config, tokenizer.
 */
export function exportModel(checkpoint: Checkpoint, tokenizerFolder: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const { configJson, tensors } = checkpoint;
  const config = checkpointConfig(checkpoint);
  const dtype = exportDtype(configJson);
  const weights = [...expectedTensors(config).keys()].flatMap((name) => {
    const tensor = tensors.get(name);
    return tensor === undefined ? [] : [{ ...tensor, name: nameInFile(config.architecture, name), dtype }];
  });
  writeSafetensors(path.join(folder, 'model.safetensors'), weights, { format: 'pt' });
  const { maskAdapterRank } = checkpoint.settings;
  if (maskAdapterRank > 0) exportAdapter(config, maskAdapterRank, tensors, { folder, dtype });
  writeFileSync(path.join(folder, 'config.json'), `${JSON.stringify(configJson, null, 2)}\n`);
  copyTokenizer(tokenizerFolder, folder);
}

/** Copies what a model folder has of a tokenizer's files. */
export function copyTokenizer(from: string, to: string): void {
  if (path.resolve(from) === path.resolve(to)) return;
  mkdirSync(to, { recursive: true });
  for (const fileName of TOKENIZER_FILES) {
    const file = path.join(from, fileName);
    if (existsSync(file)) copyFileSync(file, path.join(to, fileName));
  }
}

/** config.json's torch_dtype, or dtype, as newer files call it. */
export function exportDtype(configJson: Readonly<Record<string, unknown>>): FloatDtype {
  return DTYPES[String(configJson['torch_dtype'] ?? configJson['dtype'])] ?? 'F16';
}

/** Bytes of the exported weights. */
export function exportedBytes(numParameters: number, configJson: Readonly<Record<string, unknown>>): number {
  return numParameters * (exportDtype(configJson) === 'F32' ? 4 : 2);
}
