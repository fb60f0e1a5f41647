import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectedTensors } from '../model/config.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointConfig } from './checkpoint.ts';

const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json'];

/** Writes a checkpoint as a Hugging Face folder that the backend serves: fp16 weights, config, tokenizer. */
export function exportModel(checkpoint: Checkpoint, tokenizerFolder: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const names = new Set(expectedTensors(checkpointConfig(checkpoint)).keys());
  const weights = [...checkpoint.tensors]
    .filter(([name]) => names.has(name))
    .map(([name, tensor]) => ({ name, dtype: 'F16' as const, ...tensor }));
  writeSafetensors(path.join(folder, 'model.safetensors'), weights, { format: 'pt' });
  writeFileSync(path.join(folder, 'config.json'), `${JSON.stringify(checkpoint.configJson, null, 2)}\n`);
  for (const fileName of TOKENIZER_FILES) {
    const from = path.join(tokenizerFolder, fileName);
    if (existsSync(from) && path.resolve(tokenizerFolder) !== path.resolve(folder)) {
      copyFileSync(from, path.join(folder, fileName));
    }
  }
}
