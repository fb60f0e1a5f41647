import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModelFolder, readTensor } from '../model/folder.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { copyOfFixture } from '../model/testing/temporary-folder.ts';
import { DEVICES, openModel } from './open.ts';
import { batchOf, causalRows, tokensOf } from './testing.ts';

const CAPACITY = 32;

/** A fixture whose weights are rounded to float16, stored in `dtype`. */
function roundedFixture(name: string, dtype: 'F16' | 'F32'): string {
  const folder = copyOfFixture(name);
  const model = loadModelFolder(folder);
  const tensors = [...model.tensors.values()].map(({ name: tensor, shape }) => ({
    name: tensor,
    dtype,
    shape,
    data: Float32Array.from(new Float16Array(readTensor(model, tensor))),
  }));
  writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return folder;
}

const CASES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar'].flatMap((name) =>
  DEVICES.map((device) => ({ name, device })),
);

describe.each(CASES)('$name on $device', ({ name, device }) => {
  it('computes with float16 weights, biases and norms what it does with the same numbers in float32', async () => {
    const found: number[][] = [];
    for (const dtype of ['F16', 'F32'] as const) {
      const session = await openModel(loadModelFolder(roundedFixture(name, dtype)), {
        numThreads: 1,
        device,
      });
      const cache = session.createCache(1, CAPACITY);
      const output = await session.run(cache, batchOf(CAPACITY, [causalRows(tokensOf(12))]));
      found.push([...output.logits(11)]);
      cache.dispose();
      await session.dispose();
    }
    expect(found[0]).toEqual(found[1]);
  });
});
