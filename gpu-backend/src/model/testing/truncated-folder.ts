import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadModelFolder, readTensor } from '../folder.ts';
import { writeSafetensors } from '../safetensors-writer.ts';
import { changeJson } from './temporary-folder.ts';

/** Writes a model's copy with its first layers only into an empty folder: a small model with the same tokenizer. */
export function writeTruncated(from: string, to: string, numLayers: number): string {
  const folder = loadModelFolder(from);
  for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    if (existsSync(join(from, file))) cpSync(join(from, file), join(to, file));
  }
  changeJson(join(to, 'config.json'), { num_hidden_layers: numLayers });
  const isKept = (name: string): boolean =>
    Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1) < numLayers;
  const tensors = [...folder.tensors.values()].filter(({ name }) => isKept(name));
  writeSafetensors(
    join(to, 'model.safetensors'),
    tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32', data: readTensor(folder, name) })),
  );
  return to;
}
