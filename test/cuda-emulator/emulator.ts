import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';

/** Something that the check needs and this machine hasn't: it can't run here, which is told apart from passing. */
export class Missing extends Error {}

const SOURCES = join(import.meta.dirname, 'source');
export const WORK_FOLDER = join(REPOSITORY, '.runs', 'cuda-emulator');
const COMPILERS = ['cc', 'gcc', 'clang'];
const FLAGS = ['-shared', '-fPIC', '-O1', '-std=gnu11', '-Wall', '-Werror'];

/** The libraries that the provider is linked to; cuBLAS writes to the runtime's log. */
const LIBRARIES: readonly { name: string; source: string; needs?: string }[] = [
  { name: 'libcudart.so.13', source: 'cudart.c' },
  { name: 'libcuda.so.1', source: 'cuda.c' },
  { name: 'libcurand.so.10', source: 'curand.c' },
  { name: 'libcublas.so.13', source: 'cublas.c', needs: 'libcudart.so.13' },
  { name: 'libcublasLt.so.13', source: 'cublaslt.c', needs: 'libcudart.so.13' },
];

/** Compiles the emulated libraries, once for the sources as they are; gives the folder that they are in. */
export function buildEmulator(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Missing(
      `the CUDA provider is for Linux on x64, and this is ${process.platform} on ${process.arch}`,
    );
  const folder = join(WORK_FOLDER, `lib-${hashOfSources()}`);
  if (existsSync(folder)) return folder;
  const compiler = COMPILERS.find((name) => spawnSync(name, ['--version']).status === 0);
  if (compiler === undefined) throw new Missing(`no C compiler (${COMPILERS.join(', ')})`);
  const building = `${folder}.${process.pid}`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building, { recursive: true });
  for (const library of LIBRARIES) compile(compiler, building, library);
  if (existsSync(folder)) rmSync(building, { recursive: true });
  else renameSync(building, folder);
  return folder;
}

function compile(
  compiler: string,
  folder: string,
  { name, source, needs }: (typeof LIBRARIES)[number],
): void {
  // The provider asks for each function by the library's name as its version.
  const versions = join(folder, `${name}.map`);
  writeFileSync(versions, `${name} { global: *; };\n`);
  const linker = [`-Wl,-soname,${name}`, `-Wl,--version-script=${versions}`];
  const others = needs === undefined ? ['-lpthread'] : ['-L', folder, `-l:${needs}`];
  const args = [...FLAGS, ...linker, '-o', join(folder, name), join(SOURCES, source), ...others];
  const { status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`);
}

function hashOfSources(): string {
  const hash = createHash('sha256').update(JSON.stringify([FLAGS, LIBRARIES]));
  for (const file of readdirSync(SOURCES).toSorted())
    hash.update(file).update(readFileSync(join(SOURCES, file)));
  return hash.digest('hex').slice(0, 12);
}
