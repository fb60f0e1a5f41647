import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { basename, isAbsolute, resolve } from 'node:path';
import type { ModelFolder } from './folder.ts';
import { GRAPH_VERSION } from './graph/version.ts';

const CHUNK_BYTES = 4 << 20;
const FINGERPRINT_HEX_DIGITS = 24;

/**
 * Names the exact numbers a backend computes: two backends with one fingerprint continue each other's text.
 * `runtime` says what runs the graph: onnxruntime's version, the device's class and its instruction set.
 */
export function fingerprint(folder: ModelFolder, runtime: string): string {
  const parts = JSON.stringify([folder.contentHash, GRAPH_VERSION, runtime]);
  const hash = createHash('sha256').update(parts).digest('hex');
  return `fp_${hash.slice(0, FINGERPRINT_HEX_DIGITS)}`;
}

/** SHA-256 over the named files, an absent one counting as absent, and over settings beside them. */
export function hashFiles(
  folder: string,
  fileNames: readonly string[],
  settings: readonly unknown[] = [],
): string {
  // A file elsewhere counts by its content, not by where it lies.
  const parts = fileNames.map((fileName) => [
    isAbsolute(fileName) ? basename(fileName) : fileName,
    hashFile(resolve(folder, fileName)),
  ]);
  return createHash('sha256')
    .update(JSON.stringify([...parts, ...settings]))
    .digest('hex');
}

function hashFile(path: string): string | null {
  const file = openIfPresent(path);
  if (file === undefined) return null;
  try {
    const hash = createHash('sha256');
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const numRead = readSync(file, chunk);
      if (numRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, numRead));
    }
  } finally {
    closeSync(file);
  }
}

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
