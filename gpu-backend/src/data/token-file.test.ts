import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenFile, writeTokenFile } from './token-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidar-token-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('token files', () => {
  it('give back every document', () => {
    const path = join(folder, 'a.bin');
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 0, max: 65_535 }), { maxLength: 20 })), (documents) => {
        writeTokenFile(path, documents);
        const { ids, documentStarts } = openTokenFile(path);
        const read = documents.map((_, i) => [...ids.subarray(documentStarts[i], documentStarts[i + 1])]);
        expect(read).toEqual(documents);
      }),
    );
  });

  it('have names that end with .bin', () => {
    expect(() => writeTokenFile(join(folder, 'a.txt'), [])).toThrow('.bin');
  });
});
