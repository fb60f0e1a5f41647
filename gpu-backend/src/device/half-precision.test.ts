import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromBfloat16Bits, toBfloat16Bits } from '../model/float16.ts';
import { loadModelFolder, readTensor } from '../model/folder.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { nameInFile } from '../model/tensor-names.ts';
import { copyOfFixture } from '../model/testing/temporary-folder.ts';
import { DEVICES, openModel } from './open.ts';
import { batchOf, causalRows, tokensOf } from './testing.ts';

const CAPACITY = 32;

type Half = 'F16' | 'BF16';

const ROUND: Readonly<Record<Half, (values: Float32Array) => Float32Array>> = {
  F16: (values) => Float32Array.from(new Float16Array(values)),
  BF16: (values) => fromBfloat16Bits(toBfloat16Bits(values)),
};

/** A fixture whose weights are rounded to 16 bits, stored in `dtype`. */
function roundedFixture(name: string, half: Half, dtype: Half | 'F32'): string {
  const folder = copyOfFixture(name);
  const model = loadModelFolder(folder);
  const tensors = [...model.tensors.values()].map(({ name: tensor, shape }) => ({
    name: nameInFile(model.config.architecture, tensor),
    dtype,
    shape,
    data: ROUND[half](readTensor(model, tensor)),
  }));
  writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return folder;
}

const CASES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'].flatMap((name) =>
  DEVICES.map((device) => ({ name, device })),
);

describe.each(CASES)('$name on $device', ({ name, device }) => {
  it.each(['F16', 'BF16'] as const)(
    'computes with %s weights, biases and norms what it does with the same numbers in float32',
    async (half) => {
      const found: number[][] = [];
      for (const dtype of [half, 'F32'] as const) {
        const session = await openModel(loadModelFolder(roundedFixture(name, half, dtype)), {
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
    },
  );
});
