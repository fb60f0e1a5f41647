import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectedTensors, parseModelConfig } from '../../model/config.ts';
import type { FloatDtype } from '../../model/float16.ts';
import { numElements } from '../../model/safetensors.ts';
import { safetensorsHeader, tensorBytes, toBytes, writeAll } from '../../model/safetensors-writer.ts';
import { nameInFile } from '../../model/tensor-names.ts';

/** A model that was never trained: logits of a standard deviation near 1. */
const DEVIATION = 0.02;
/** Weights are taken from a table of so many normal numbers at most, from place to place: gigabytes in seconds. */
const MAX_TABLE_LENGTH = 1 << 22;

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
    dtype,
    shape,
  }));
  const path = join(folder, 'model.safetensors');
  const file = openSync(`${path}.tmp`, 'w');
  try {
    writeAll(file, safetensorsHeader(tensors));
    const tableLength = Math.min(
      MAX_TABLE_LENGTH,
      Math.max(...tensors.map(({ shape }) => numElements(shape))),
    );
    const normal = toBytes({ dtype, data: normalTable(tableLength) });
    const one = toBytes({ dtype, data: new Float32Array(tableLength).fill(1) });
    tensors.forEach((tensor, index) => {
      const table = tensor.shape.length === 1 ? one : normal;
      // Another place for each tensor; even, for elements of up to four bytes.
      let at = (index * 40_503 * 4) % table.length;
      for (let left = tensorBytes(tensor); left > 0;) {
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

/** Box-Muller over a small generator: the same numbers every time. */
function normalTable(length: number): Float32Array {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => {
    const radius = DEVIATION * Math.sqrt(-2 * Math.log(uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
}
