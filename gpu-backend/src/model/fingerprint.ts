import { createHash } from 'node:crypto';
import { basename, isAbsolute, resolve } from 'node:path';
import { FileHashes } from './file-hashes.ts';
import type { ModelFolder } from './folder.ts';
import { GRAPH_VERSION } from './graph/version.ts';

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
  const hashes = new FileHashes(folder);
  // A file elsewhere counts by its content, not by where it lies.
  const parts = fileNames.map((fileName) => [
    isAbsolute(fileName) ? basename(fileName) : fileName,
    hashes.sha256(resolve(folder, fileName)),
  ]);
  hashes.save();
  return createHash('sha256')
    .update(JSON.stringify([...parts, ...settings]))
    .digest('hex');
}
