import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openGraph } from '../device/graph-session.ts';
import type { HostTensor } from '../device/graph-session.ts';
import { loadModelFolder, readTensor } from '../model/folder.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { gradients } from './autodiff.ts';
import { layOutBatch } from './batch.ts';
import { batchTensors } from './batch-tensors.ts';
import { buildLossGraph } from './loss-graph.ts';

const FOLDER = 'test/fixtures/llama-tidar';

interface Expected {
  train: {
    batch: number[][];
    blockSize: number;
    alpha: number;
    arLoss: number;
    diffusionLoss: number;
    loss: number;
    gradients: Record<string, number[] | number[][]>;
  };
}

async function runGolden(window: number) {
  const folder = loadModelFolder(FOLDER);
  const { train } = JSON.parse(readFileSync(`${FOLDER}/expected.json`, 'utf8')) as Expected;
  const shape = { batch: train.batch.length, numTokens: train.batch[0]!.length, window };
  const graph = buildLossGraph(folder.config, shape, { alpha: train.alpha, distill: 0 });
  const parameters = [...graph.parameters.values()];
  const computed = gradients(graph.b, graph.loss, parameters, graph.custom);
  graph.b.output('loss', graph.loss);
  graph.b.output('ar_loss', graph.arLoss);
  graph.b.output('diffusion_loss', graph.diffusionLoss!);
  parameters.forEach((parameter, index) => graph.b.output(`d.${parameter.name}`, computed[index]!));
  const session = await openGraph(serializeModel(graph.b, 'golden'), { numThreads: 1 });
  const { maskTokenId } = folder.config.tidar!;
  const batch = layOutBatch(train.batch, { maskTokenId, blockSize: train.blockSize, window });
  const weights = Object.fromEntries(
    parameters.map((parameter): [string, HostTensor] => [
      parameter.name,
      { type: 'float32', data: readTensor(folder, parameter.name), shape: parameter.shape.map(Number) },
    ]),
  );
  const outputs = await session.run({ ...batchTensors(batch, shape), ...weights });
  await session.dispose();
  return { train, outputs };
}

describe('the training graph against the independent oracle', () => {
  // A window of 12 holds three blocks of 4: the masks, not the graph, decide the block size.
  it.each([4, 12])('computes both losses, the total and every gradient (window %i)', async (window) => {
    const { train, outputs } = await runGolden(window);
    expect(outputs['ar_loss']![0]).toBeCloseTo(train.arLoss, 4);
    expect(outputs['diffusion_loss']![0]).toBeCloseTo(train.diffusionLoss, 4);
    expect(outputs['loss']![0]).toBeCloseTo(train.loss, 4);
    for (const [name, expected] of Object.entries(train.gradients)) {
      const wanted = expected.flat();
      const found = outputs[`d.${name}`]!;
      const largest = Math.max(...wanted.map(Math.abs));
      const worst = Math.max(...wanted.map((value, index) => Math.abs(value - found[index]!)));
      expect(found.length, name).toBe(wanted.length);
      expect(worst / largest, name).toBeLessThan(1e-3);
    }
  });
});
