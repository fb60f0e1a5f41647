import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileHashes, HASHES_FILE } from './file-hashes.ts';
import { temporaryFolder } from './testing/temporary-folder.ts';

const LARGE = 1000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function written(folder: string, name: string, byte: number, length = LARGE): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(length, byte));
  return path;
}

const hash = (folder: string, path: string): string | null => {
  const hashes = new FileHashes(folder, LARGE);
  const found = hashes.sha256(path);
  hashes.save();
  return found;
};

describe('hashes of files', () => {
  it('are those of their content, and null of what is not there', () => {
    const folder = temporaryFolder();
    for (const length of [0, LARGE - 1, LARGE, (4 << 20) + 1]) {
      const path = written(folder, 'file', 7, length);
      for (let time = 0; time < 2; time += 1) expect(hash(folder, path)).toBe(sha256(readFileSync(path)));
    }
    expect(hash(folder, join(folder, 'nothing'))).toBeNull();
  });

  it('are remembered of large files alone, and then the file is not read', () => {
    const folder = temporaryFolder();
    const small = written(folder, 'small', 1, LARGE - 1);
    hash(folder, small);
    expect(existsSync(join(folder, HASHES_FILE))).toBe(false);
    const large = written(folder, 'large', 1);
    hash(folder, large);
    const kept = JSON.parse(readFileSync(join(folder, HASHES_FILE), 'utf8')) as {
      files: Record<string, { sha256: string }>;
    };
    expect(Object.keys(kept.files)).toEqual(['large']);
    kept.files['large']!.sha256 = 'f'.repeat(64);
    writeFileSync(join(folder, HASHES_FILE), JSON.stringify(kept));
    expect(hash(folder, large)).toBe('f'.repeat(64));
  });

  it('are computed again after any write, even one that restores size and time', () => {
    const folder = temporaryFolder();
    const path = written(folder, 'large', 1);
    const before = hash(folder, path);
    const { atime, mtime } = statSync(path);
    written(folder, 'large', 2);
    utimesSync(path, atime, mtime);
    expect(hash(folder, path)).toBe(sha256(readFileSync(path)));
    expect(hash(folder, path)).not.toBe(before);
  });

  it('need no kept ones: a spoiled file and a folder that cannot be written to change nothing', () => {
    const folder = temporaryFolder();
    const path = written(folder, 'large', 1);
    writeFileSync(join(folder, HASHES_FILE), '{"version":1,"files":{"large":{"sha256":"x"}}}');
    expect(hash(folder, path)).toBe(sha256(readFileSync(path)));
    chmodSync(folder, 0o500);
    expect(hash(folder, path)).toBe(sha256(readFileSync(path)));
    chmodSync(folder, 0o700);
  });
});
