import { cpSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEMO_MODEL } from '../cli/open-model.ts';
import { loadModelFolder } from '../model/folder.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { readEvalFlags } from './flags.ts';
import { openModels } from './models.ts';

it('eval reads the main model alone in as many bits as it is told, and takes it for another model', async () => {
  const { quantize } = readEvalFlags(['--quantize', 'int4']);
  expect(() => readEvalFlags(['--quantize', 'int2'])).toThrow('--quantize must be int8 or int4; got "int2".');
  const folder = temporaryFolder();
  cpSync(DEMO_MODEL, folder, { recursive: true });
  const paths = { main: folder, arOnly: folder, draft: undefined, numThreads: 1, quantize };
  const { main, arOnly, dispose } = await openModels(paths, false);
  expect(main.folder.quantization).toBe('int4');
  expect(arOnly!.folder.quantization).toBeUndefined();
  expect(arOnly!.folder.contentHash).toBe(loadModelFolder(folder).contentHash);
  expect(main.folder.contentHash).not.toBe(arOnly!.folder.contentHash);
  await dispose();
});
