import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { neededLibraries } from './needed-libraries.ts';

export const PROVIDER_FILE = 'libonnxruntime_providers_cuda.so';
const SHARED_FILE = 'libonnxruntime_providers_shared.so';
const INSTALL_PROVIDER =
  '`ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js`';
const CHUNK_BYTES = 1 << 24;
/** More than any text that is looked for. */
const OVERLAP_BYTES = 64;

/** The provider beside the library; or in one sentence what is missing, and what installs it. */
export type ProviderFinding =
  | {
      readonly path: string;
      /** What it is linked to, CUDA's libraries among it. */
      readonly libraries: readonly string[];
      /** The CUDA that it was built for. */
      readonly cudaMajor: number;
    }
  | { readonly absence: string };

/**
 * Looks for the provider before it is loaded. onnxruntime loads one of any version and then calls it by the places of
 * its own functions, which ends in a crash or in wrong numbers: so the file itself must name the version.
 */
export function findProvider(folder: string, version: string): ProviderFinding {
  const missing = [SHARED_FILE, PROVIDER_FILE].find((name) => !existsSync(join(folder, name)));
  if (missing !== undefined) {
    const what = `The CUDA provider of onnxruntime ${version} is not installed (${missing} is missing)`;
    return { absence: `${what}: ${INSTALL_PROVIDER} installs it.` };
  }
  const path = join(folder, PROVIDER_FILE);
  if (!namesVersion(path, version)) {
    const what = `The CUDA provider ${PROVIDER_FILE} is not of onnxruntime ${version}, which loads it`;
    return { absence: `${what}: ${INSTALL_PROVIDER} installs the one that is.` };
  }
  const libraries = neededLibraries(path);
  const runtime = libraries.map((name) => /^libcudart\.so\.(\d+)$/.exec(name)?.[1]).find((major) => major);
  if (runtime === undefined)
    return {
      absence: `${PROVIDER_FILE} is linked to no CUDA runtime: ${INSTALL_PROVIDER} installs one that is.`,
    };
  return { path, libraries, cudaMajor: Number(runtime) };
}

/** Whether the file has the version as a text of its own. */
function namesVersion(path: string, version: string): boolean {
  const text = Buffer.from(`\0${version}\0`, 'latin1');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const file = openSync(path, 'r');
  try {
    for (let position = 0; ; position += CHUNK_BYTES - OVERLAP_BYTES) {
      const numRead = readSync(file, buffer, 0, CHUNK_BYTES, position);
      if (buffer.subarray(0, numRead).includes(text)) return true;
      if (numRead < CHUNK_BYTES) return false;
    }
  } finally {
    closeSync(file);
  }
}
