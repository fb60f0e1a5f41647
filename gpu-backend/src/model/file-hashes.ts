import { createHash } from 'node:crypto';
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';

/** Hashes of large files that were computed before, in the model's folder. */
export const HASHES_FILE = '.hashes.json';
const CHUNK_BYTES = 4 << 20;
/** Below it a hash is computed sooner than it is worth keeping. */
const LARGE_BYTES = 64 << 20;

/** All that changes when a file's content does: the system sets the last two at every write, and nobody can set ctime. */
const knownSchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number(),
  inode: z.number(),
  mtimeMs: z.number(),
  ctimeMs: z.number(),
});
const fileSchema = z.object({ version: z.literal(1), files: z.record(z.string(), knownSchema) });
type Known = z.infer<typeof knownSchema>;

/** SHA-256 of files, those of large ones remembered in a folder for as long as the file is not touched. */
export class FileHashes {
  readonly #path: string;
  readonly #largeBytes: number;
  readonly #files: Record<string, Known>;
  #isChanged = false;

  constructor(folder: string, largeBytes = LARGE_BYTES) {
    this.#path = join(folder, HASHES_FILE);
    this.#largeBytes = largeBytes;
    this.#files = readKnown(this.#path);
  }

  /** Null where there is no such file. */
  sha256(path: string): string | null {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    if (stat.size < this.#largeBytes) return hashFile(path);
    const name = basename(path);
    const known = this.#files[name];
    if (known !== undefined && isSame(known, stat)) return known.sha256;
    const sha256 = hashFile(path);
    const { size, ino: inode, mtimeMs, ctimeMs } = stat;
    this.#files[name] = { sha256, size, inode, mtimeMs, ctimeMs };
    this.#isChanged = true;
    return sha256;
  }

  /** Keeps what was computed. A folder that can't be written to is hashed again next time. */
  save(): void {
    if (!this.#isChanged) return;
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, `${JSON.stringify({ version: 1, files: this.#files })}\n`);
      renameSync(temporary, this.#path);
    } catch {
      rmSync(temporary, { force: true });
    }
  }
}

function isSame(known: Known, { size, ino, mtimeMs, ctimeMs }: Stats): boolean {
  return known.size === size && known.inode === ino && known.mtimeMs === mtimeMs && known.ctimeMs === ctimeMs;
}

function readKnown(path: string): Record<string, Known> {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).files;
  } catch {
    return {}; // none yet, or spoiled: all is computed
  }
}

function hashFile(path: string): string {
  const file = openSync(path, 'r');
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
