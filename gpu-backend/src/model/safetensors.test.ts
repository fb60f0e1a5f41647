import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toFloat32 } from './float16.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import type { TensorToWrite } from './safetensors-writer.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { fixturePath, temporaryFolder } from './testing/temporary-folder.ts';

const GOLDEN = join(fixturePath('llama-tidar'), 'model.safetensors');

/** A file with this header text and this many bytes of data. */
function writeRaw(header: string, numDataBytes: number): string {
  const path = join(temporaryFolder(), 'model.safetensors');
  const json = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  writeFileSync(path, Buffer.concat([length, json, new Uint8Array(numDataBytes)]));
  return path;
}

function refusal(path: string): string {
  try {
    readSafetensorsHeader(path);
  } catch (error) {
    if (error instanceof TidarError && error.code === 'model_folder_invalid') return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

const entry = (start: number, end: number, shape = [1], dtype = 'F32'): object => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

describe('reading safetensors', () => {
  it('finds the tensors of a golden file, which PyTorch wrote', () => {
    const { entries } = readSafetensorsHeader(GOLDEN);
    const norm = entries.get('model.norm.weight');
    expect(norm).toMatchObject({ dtype: 'F32', shape: [32], byteLength: 128 });
    const total = [...entries.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const dataStart = Math.min(...[...entries.values()].map(({ byteOffset }) => byteOffset));
    expect(dataStart + total).toBe(readFileSync(GOLDEN).length);
  });

  it('reads metadata, an empty tensor and a tensor called __proto__', () => {
    const path = writeRaw(
      `{"__metadata__":{"format":"pt"},"__proto__":${JSON.stringify(entry(0, 4))},"none":${JSON.stringify(entry(4, 4, [0, 3]))}}`,
      4,
    );
    const { entries, metadata } = readSafetensorsHeader(path);
    expect(metadata).toEqual({ format: 'pt' });
    expect([...entries.keys()]).toEqual(['__proto__', 'none']);
  });

  it.each<[string, string, number, string]>([
    [
      'a hole',
      JSON.stringify({ a: entry(0, 4), b: entry(8, 12) }),
      12,
      'tensor b leaves unused bytes before it',
    ],
    [
      'an overlap',
      JSON.stringify({ a: entry(0, 4), b: entry(2, 6) }),
      6,
      'tensor b overlaps the tensor before it',
    ],
    [
      'data beyond the end',
      JSON.stringify({ a: entry(0, 4) }),
      3,
      'truncated: tensor a is expected to end at byte',
    ],
    ['bytes of no tensor', JSON.stringify({ a: entry(0, 4) }), 5, 'the last tensor ends there'],
    [
      'a size that does not fit the shape',
      JSON.stringify({ a: entry(0, 4, [2]) }),
      4,
      'tensor a: found 4 bytes, expected 8 for F32 [2]',
    ],
    [
      'offsets the wrong way round',
      JSON.stringify({ a: entry(4, 0) }),
      4,
      'tensor a: found -4 bytes, expected 4',
    ],
    [
      'an unknown dtype',
      JSON.stringify({ a: entry(0, 4, [1], 'F31') }),
      4,
      'tensor a: found the unknown dtype "F31"',
    ],
    [
      'a negative length',
      JSON.stringify({ a: entry(0, 4, [-1]) }),
      4,
      'tensor a: found a malformed header entry',
    ],
    ['a list for a tensor', '{"a":[]}', 0, 'tensor a: found a malformed header entry'],
    ['metadata that is not text', '{"__metadata__":{"a":1}}', 0, '__metadata__ in the header'],
    ['a header that is no JSON', '{"a":', 0, 'expected a header that is a JSON object'],
    ['a header that is a list', '[]', 0, 'expected a header that is a JSON object'],
  ])('names %s', (_, header, numDataBytes, sentence) => {
    const message = refusal(writeRaw(header, numDataBytes));
    expect(message).toMatch(/^model\.safetensors: /);
    expect(message).toContain(sentence);
  });

  it('names a missing file, a folder in its place, and a file of another kind', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'model.safetensors');
    expect(refusal(path)).toBe('model.safetensors: the file is missing.');
    writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\n');
    expect(refusal(path)).toMatch(
      /^model\.safetensors: is not a safetensors file: found a header length of \d+/,
    );
    mkdirSync(join(folder, 'folder.safetensors'));
    expect(refusal(join(folder, 'folder.safetensors'))).toBe('folder.safetensors: is not a file.');
  });

  it('refuses every truncation of a file, wherever it was cut', () => {
    const whole = readFileSync(GOLDEN);
    const path = join(temporaryFolder(), 'model.safetensors');
    const anyLength = fc.oneof(fc.nat(16), fc.nat(whole.length - 1));
    fc.assert(
      fc.property(anyLength, (length) => {
        writeFileSync(path, whole);
        truncateSync(path, length);
        expect(refusal(path)).toMatch(/^model\.safetensors: .*\bfound \d+ bytes|a file of \d+ bytes/);
      }),
      { numRuns: 300 },
    );
  });

  it('a damaged header is refused or read, but nothing else ever happens', () => {
    const whole = readFileSync(GOLDEN);
    const path = join(temporaryFolder(), 'model.safetensors');
    const headerLength = Number(whole.readBigUInt64LE(0));
    fc.assert(
      fc.property(fc.nat(7 + headerLength), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(whole);
        damaged[at] = byte;
        writeFileSync(path, damaged);
        try {
          for (const { byteOffset, byteLength } of readSafetensorsHeader(path).entries.values()) {
            expect(byteOffset + byteLength).toBeLessThanOrEqual(whole.length);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(TidarError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('writing safetensors', () => {
  const tensors: TensorToWrite[] = [
    { name: 'half', dtype: 'F16', shape: [3], data: Float32Array.of(1, -2.5, 65504) },
    { name: 'full', dtype: 'F32', shape: [1, 2], data: Float32Array.of(0.1, -1e30) },
  ];

  const readBack = (path: string): [string, number[]][] => {
    const file = readFileSync(path);
    return [...readSafetensorsHeader(path).entries.values()].map(
      ({ name, dtype, byteOffset, byteLength }) => {
        const bytes = Uint8Array.from(file.subarray(byteOffset, byteOffset + byteLength));
        return [name, [...toFloat32(bytes.buffer, dtype === 'F16' ? 'F16' : 'F32')]];
      },
    );
  };

  it('what was written is read back, aligned to 64 bytes', () => {
    const path = join(temporaryFolder(), 'out.safetensors');
    writeSafetensors(path, tensors, { step: '7' });
    expect(readBack(path)).toEqual([
      ['full', [...Float32Array.of(0.1, -1e30)]],
      ['half', [1, -2.5, 65504]],
    ]);
    const { entries, metadata } = readSafetensorsHeader(path);
    expect(metadata).toEqual({ step: '7' });
    expect(entries.get('full')?.byteOffset).toSatisfy((offset: number) => offset % 64 === 0);
  });

  it('any shapes and values survive', () => {
    const path = join(temporaryFolder(), 'out.safetensors');
    const shape = fc.array(fc.nat(5), { maxLength: 3 });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string(), { maxLength: 6 }),
        shape,
        fc.float({ noNaN: true }),
        (names, dims, value) => {
          const numElements = dims.reduce((product, length) => product * length, 1);
          const written = names
            .filter((name) => name !== '__metadata__')
            .map((name): TensorToWrite => ({
              name,
              dtype: 'F32',
              shape: dims,
              data: new Float32Array(numElements).fill(value),
            }));
          writeSafetensors(path, written);
          const expected = written.map(({ name, data }): [string, number[]] => [name, [...data]]);
          expect(new Map(readBack(path))).toEqual(new Map(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each<[string, TensorToWrite[], string]>([
    [
      'data that does not fill its shape',
      [{ name: 'a', dtype: 'F32', shape: [3], data: new Float32Array(2) }],
      'tensor a: found 2 values, expected 3',
    ],
    [
      'a value that float16 cannot hold',
      [{ name: 'a', dtype: 'F16', shape: [1], data: Float32Array.of(7e4) }],
      'beyond float16',
    ],
    ['two tensors of one name', [...tensors, ...tensors], 'two tensors have the same name'],
    [
      'a tensor called as the metadata is',
      [{ name: '__metadata__', dtype: 'F32', shape: [0], data: new Float32Array() }],
      'reserved',
    ],
  ])('refuses %s and leaves the file that was there', (_, wrong, sentence) => {
    const folder = temporaryFolder();
    const path = join(folder, 'out.safetensors');
    writeSafetensors(path, tensors);
    const before = readFileSync(path);
    expect(() => writeSafetensors(path, wrong)).toThrow(sentence);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(['out.safetensors']);
  });

  it('leaves no temporary file where it cannot write', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'taken.safetensors'));
    writeFileSync(join(folder, 'taken.safetensors', 'inside'), '');
    expect(() => writeSafetensors(join(folder, 'taken.safetensors'), tensors)).toThrow();
    expect(readdirSync(folder)).toEqual(['taken.safetensors']);
    expect(existsSync(join(folder, 'taken.safetensors', 'inside'))).toBe(true);
  });
});
