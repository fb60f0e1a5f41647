import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import type { Emulation } from './run.ts';

/** Every form of graph, or few, for tests that run with all others. */
export type Extent = 'all' | 'few';

/** One law of the CUDA device. It throws where it doesn't hold, and may tell a figure. */
export interface Check {
  readonly title: string;
  readonly run: (emulation: Emulation, extent: Extent) => Promise<string | void> | string | void;
}

export const FIXTURE = join(REPOSITORY, 'test', 'fixtures', 'llama-tidar');

export function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-cuda-check-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const result = work(folder);
    if (result instanceof Promise) return result.finally(clean) as T;
    clean();
    return result;
  } catch (error) {
    clean();
    throw error;
  }
}
