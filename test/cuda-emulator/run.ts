import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIBRARY_FOLDER } from '../../gpu-backend/src/device/c-api/library.ts';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { buildEmulator } from './emulator.ts';
import { readLog } from './log.ts';
import type { Phase } from './log.ts';
import { fetchProvider } from './provider.ts';

/** Where programs find the emulated CUDA, and the product's onnxruntime with the real provider. */
export interface Emulation {
  readonly libraries: string;
  readonly onnxruntime: string;
}

export interface Ran<T> {
  readonly told: T;
  /** What reached the emulated GPU. */
  readonly phases: readonly Phase[];
}

const RUN_LIMIT_MS = 120_000;

/** Throws `Missing` where this machine lacks something. */
export async function prepare(): Promise<Emulation> {
  return { libraries: buildEmulator(), onnxruntime: await fetchProvider() };
}

/** What a process needs beside its own environment to see the emulated GPU. */
export function emulatedEnvironment(
  { libraries, onnxruntime }: Emulation,
  logPath: string,
): Record<string, string> {
  return { LD_LIBRARY_PATH: libraries, [LIBRARY_FOLDER]: onnxruntime, CUDA_EMULATOR_LOG: logPath };
}

/** Runs one of the programs with the emulated GPU, or what `env` makes of it; throws where it fails. */
export function runProgram<T>(
  emulation: Emulation,
  name: string,
  asked: object,
  env: Readonly<Record<string, string>> = {},
): Ran<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-cuda-'));
  const log = join(folder, 'log');
  try {
    const args = [join(import.meta.dirname, 'programs', `${name}.ts`), JSON.stringify(asked)];
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: REPOSITORY,
      encoding: 'utf8',
      timeout: RUN_LIMIT_MS,
      env: { ...process.env, ...emulatedEnvironment(emulation, log), ...env },
    });
    if (status !== 0) throw new Error(`${name} ended with ${status ?? signal ?? 'nothing'}:\n${stderr}`);
    const told = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as T;
    return { told, phases: existsSync(log) ? readLog(log) : [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
