import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import { expectedTensors, parseModelConfig } from '../model/config.ts';
import { loadModelFolder } from '../model/folder.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { copyOfFixture } from '../model/testing/temporary-folder.ts';
import { TINY_TOKENIZER_CONFIG, tinyTokenizerJson } from '../model/testing/tiny-tokenizer.ts';
import type { Models, OpenedModel } from './models.ts';

/** A model folder with the tiny tokenizer and weights that mean nothing but are not all alike. */
export function makeNonsenseModel(changes: Record<string, unknown> = {}): string {
  const folder = copyOfFixture('llama-tidar');
  const path = join(folder, 'config.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const ids = { vocab_size: 274, bos_token_id: 256, eos_token_id: 259 };
  const all = { ...json, ...ids, tidar: { mask_token_id: 260, block_size: 4 }, ...changes };
  writeFileSync(path, JSON.stringify(all));
  const tensors = [...expectedTensors(parseModelConfig(all, 'config.json'))].map(([name, shape]) => {
    const numElements = shape.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: numElements }, (_, i) => Math.sin(i * i + name.length));
    return { name, dtype: 'F32' as const, shape, data };
  });
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson()));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(TINY_TOKENIZER_CONFIG));
  return folder;
}

/** A model alone; `wrap` may make its session another one. */
export async function openNonsense(
  path: string,
  wrap: (session: ModelSession) => ModelSession = (session) => session,
): Promise<Models & { readonly main: OpenedModel }> {
  const folder = loadModelFolder(path);
  const { tokenizer } = folder;
  if (tokenizer === undefined) throw new Error('the folder has no tokenizer');
  const session = await openModel(folder, { numThreads: 1 });
  const engine = soloEngine(wrap(session));
  const compiler = await GrammarCompiler.create(tokenizer, folder.config);
  const dispose = async (): Promise<void> => {
    engine.dispose();
    await session.dispose();
  };
  return { main: { folder, tokenizer, engine, compiler }, arOnly: undefined, draft: undefined, dispose };
}

/** Writes items as JSON lines. */
export function writeLines(path: string, lines: readonly object[]): string {
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}
