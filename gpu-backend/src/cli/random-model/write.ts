import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expectedTensors, parseModelConfig } from '../../model/config.ts';
import type { FloatDtype } from '../../model/float16.ts';
import { LENGTH_BYTES } from '../../model/safetensors.ts';
import { nameInFile } from '../../model/tensor-names.ts';

/** A model that was never trained: logits of a standard deviation near 1. */
const DEVIATION = 0.02;
/** Weights are taken from a table of this many normal numbers, from place to place: gigabytes in seconds. */
const TABLE_LENGTH = 1 << 22;
const ALIGNMENT = 64;
const ELEMENT_BYTES: Readonly<Record<FloatDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Writes a folder of this config with random weights, however large: what a size costs, not what a model says. */
export function writeRandomModel(
  folder: string,
  configJson: Record<string, unknown>,
  dtype: FloatDtype,
): void {
  const config = parseModelConfig(configJson, 'config.json');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), `${JSON.stringify(configJson, null, 2)}\n`);
  const tensors = [...expectedTensors(config)].map(([name, shape]) => ({
    name: nameInFile(config.architecture, name),
    shape,
    numBytes: ELEMENT_BYTES[dtype] * shape.reduce((product, length) => product * length, 1),
  }));
  const path = join(folder, 'model.safetensors');
  const file = openSync(`${path}.tmp`, 'w');
  try {
    writeAll(file, header(tensors, dtype));
    const [normal, one] = [
      encode(normalTable(), dtype),
      encode(new Float32Array(TABLE_LENGTH).fill(1), dtype),
    ];
    tensors.forEach(({ shape, numBytes }, index) => {
      const table = shape.length === 1 ? one : normal;
      // Another place for each tensor; even, for elements of up to four bytes.
      let at = (index * 40_503 * 4) % table.length;
      for (let left = numBytes; left > 0;) {
        const chunk = table.subarray(at, Math.min(table.length, at + left));
        writeAll(file, chunk);
        left -= chunk.length;
        at = 0;
      }
    });
    renameSync(`${path}.tmp`, path);
  } finally {
    closeSync(file);
    rmSync(`${path}.tmp`, { force: true });
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let numWritten = 0; numWritten < bytes.length;) numWritten += writeSync(file, bytes, numWritten);
}

function header(
  tensors: readonly { name: string; shape: number[]; numBytes: number }[],
  dtype: FloatDtype,
): Uint8Array {
  let offset = 0;
  const entries = tensors.map(({ name, shape, numBytes }) => {
    const start = offset;
    offset += numBytes;
    return [name, { dtype, shape, data_offsets: [start, offset] }];
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  const end = ALIGNMENT * Math.ceil((LENGTH_BYTES + json.length) / ALIGNMENT);
  const bytes = new Uint8Array(end).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(end - LENGTH_BYTES), true);
  bytes.set(new TextEncoder().encode(json), LENGTH_BYTES);
  return bytes;
}

/** Box-Muller over a small generator: the same numbers every time. */
function normalTable(): Float32Array {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from({ length: TABLE_LENGTH }, () => {
    const radius = DEVIATION * Math.sqrt(-2 * Math.log(uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
}

function encode(values: Float32Array, dtype: FloatDtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer);
  if (dtype === 'F16') return new Uint8Array(new Float16Array(values).buffer);
  const wide = new Uint32Array(values.buffer);
  // bfloat16 is float32's upper half; rounding down is as good as any for random numbers.
  return new Uint8Array(Uint16Array.from(wide, (bits) => bits >>> 16).buffer);
}
