import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelSession } from '../device/device.ts';
import { isCpuName } from '../device/names.ts';
import { openModel } from '../device/open.ts';
import type { OpenOptions } from '../device/open.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { FolderOptions, ModelFolder, ModelOutline } from '../model/folder.ts';
import { assertFits, cpuMemory, describeMemory } from '../model/memory.ts';

/** The model that the repository carries. */
export const DEMO_MODEL = fileURLToPath(new URL('../../models/demo', import.meta.url));

/** What a command says of the device, and what it does with the answer. */
export type CommandDevice = Pick<OpenOptions, 'device' | 'precision' | 'cuda' | 'onChoice'>;

/** Opens a model folder for a command; a missing folder is told with the flag that names another. */
export async function openCommandModel(
  path: string,
  numThreads: number,
  flag = '--model',
  options: FolderOptions & CommandDevice = {},
): Promise<{ folder: ModelFolder; session: ModelSession }> {
  if (!existsSync(join(path, 'config.json'))) {
    const inside = relative(process.cwd(), path);
    const shown = inside === '' || inside.startsWith('..') ? path : inside;
    throw new TidarError(
      'model_folder_invalid',
      `No model in ${shown} (no config.json there); give a model folder with ${flag}.`,
    );
  }
  const { device, precision, cuda, onChoice } = options;
  const isCpu = device === undefined || isCpuName(device);
  const folder = loadModelFolder(path, options, isCpu ? tellIfLarge : undefined);
  return { folder, session: await openModel(folder, { numThreads, device, precision, cuda, onChoice }) };
}

const LARGE_BYTES = 2 ** 30;

/** What loading takes is said before it is done, where it takes its time. */
function tellIfLarge(outline: ModelOutline): void {
  const need = cpuMemory(outline);
  assertFits(outline.name, need);
  if (need.weights < LARGE_BYTES) return;
  process.stderr.write(`loading ${outline.name}: ${describeMemory(need)}\n`);
}
