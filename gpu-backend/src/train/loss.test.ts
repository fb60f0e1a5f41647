import { describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import { openGraph } from '../device/graph-session.ts';
import type { HostTensor } from '../device/graph-session.ts';
import { GraphBuilder } from '../model/graph/builder.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { CustomGradients, gradients } from './autodiff.ts';
import { layOutBatch } from './batch.ts';
import { batchTensors } from './batch-tensors.ts';
import { checkpointConfig } from './checkpoint.ts';
import { initialCheckpoint } from './initialize.ts';
import { divergence, weightedSum } from './loss.ts';
import { buildLossGraph } from './loss-graph.ts';
import { randomMaskShares } from './masking.ts';
import { modelSizeSchema, trainingSettingsSchema } from './settings.ts';

const MASK = 3;
const TOKENS = { vocabSize: 24, bosTokenId: 1, eosTokenId: 2, maskTokenId: MASK };
const SIZE = modelSizeSchema.parse({ hiddenSize: 16, numLayers: 2, intermediateSize: 24, maxPositions: 64 });

function logSoftmax(row: readonly number[]): number[] {
  const highest = Math.max(...row);
  const logSum = highest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  return row.map((logit) => logit - logSum);
}

const divergenceOf = (teacher: readonly number[], student: readonly number[]): number =>
  teacher.reduce((sum, logP, at) => sum + Math.exp(logP) * (logP - student[at]!), 0);

describe('the losses', () => {
  it('are the means that the settings name, from the logits, in float64', async () => {
    const [batch, numTokens, window, blockSize, blockOffset] = [2, 16, 8, 4, 3];
    const settings = trainingSettingsSchema.parse({ numTokens, batchSize: batch, blockSizes: [8] });
    const checkpoint = initialCheckpoint(SIZE, TOKENS, settings);
    const shape = { batch, numTokens, window, distills: true };
    const [alpha, distill] = [0.5, 0.3];
    const graph = buildLossGraph(checkpointConfig(checkpoint), shape, { alpha, distill });
    for (const [name, value] of Object.entries({
      logits: graph.logits,
      ar: graph.arLoss,
      diffusion: graph.diffusionLoss!,
      distillation: graph.distillationLoss!,
      loss: graph.loss,
    })) {
      graph.b.output(name, value);
    }
    const session = await openGraph(serializeModel(graph.b, 'losses'), { numThreads: 1 });
    const sequences = [0, 1].map((index) =>
      Array.from({ length: numTokens }, (_, at) => 4 + ((at * (7 + index)) % 20)),
    );
    const shares = [5, 6].map((seed) =>
      randomMaskShares(new Random(seed), numTokens, { blockSize, blockOffset }),
    );
    const counts = sequences.map((sequence) => sequence.map((_, at) => 0.1 + 0.9 * (at % 2)));
    const laidOut = layOutBatch(
      sequences,
      { maskTokenId: MASK, window, blockSize, blockOffset, maskShares: (index) => shares[index]! },
      (sequence) => counts[sequences.indexOf(sequence as number[])]!,
    );
    const parameters = Object.fromEntries(
      [...checkpoint.tensors].map(([name, tensor]) => [name, { type: 'float32' as const, ...tensor }]),
    );
    const outputs = await session.run({ ...batchTensors(laidOut, shape), ...parameters });
    await session.dispose();

    const { vocabSize } = TOKENS;
    const logProbabilities = (row: number): number[] =>
      logSoftmax([...outputs['logits']!.subarray(row * vocabSize, (row + 1) * vocabSize)]);
    const sums = { ar: 0, arCount: 0, diffusion: 0, distillation: 0, count: 0 };
    sequences.forEach((sequence, index) => {
      const rowsOf = (half: number): number => (half * batch + index) * numTokens;
      sequence.forEach((token, position) => {
        const count = counts[index]![position]!;
        const share = shares[index]![position]!;
        const maskRow = rowsOf(1) + ((position - blockOffset + numTokens) % numTokens);
        expect(Number(laidOut.positions[maskRow])).toBe(position);
        expect(Number(laidOut.tokenIds[maskRow])).toBe(share > 0 ? MASK : token);
        const drafted = logProbabilities(maskRow);
        sums.count += count;
        sums.diffusion -= count * share * drafted[token]!;
        if (position === 0) return;
        const taught = logProbabilities(rowsOf(0) + position - 1);
        sums.arCount += count;
        sums.ar -= count * taught[token]!;
        sums.distillation += count * share * divergenceOf(taught, drafted);
      });
    });
    const [ar, diffusion] = [sums.ar / sums.arCount, sums.diffusion / sums.count];
    const distillation = sums.distillation / sums.count;
    expect(outputs['ar']![0]).toBeCloseTo(ar, 4);
    expect(outputs['diffusion']![0]).toBeCloseTo(diffusion, 4);
    expect(outputs['distillation']![0]).toBeCloseTo(distillation, 5);
    const total = (alpha * ar + (1 - distill) * diffusion + distill * distillation) / (1 + alpha);
    expect(outputs['loss']![0]).toBeCloseTo(total, 4);
  });

  it('let no gradient of the divergence flow through the teacher', async () => {
    const rows = [
      [0.5, -1, 2, 0.1],
      [1, 1.5, -0.5, 0],
      [-2, 0.3, 0.7, 1],
    ];
    const [teachers, weights] = [
      [1, 0, 0],
      [0, 0.25, 0.75],
    ];
    const b = new GraphBuilder();
    const custom = new CustomGradients();
    const logits = b.input('logits', 'float32', [3, 4]);
    const each = divergence(b, custom, logits, b.list(teachers));
    const loss = weightedSum(b, each, b.constant('float32', [3], Float32Array.from(weights)));
    b.output('loss', loss);
    b.output('gradient', gradients(b, loss, [logits], custom)[0]!);
    const session = await openGraph(serializeModel(b, 'divergence'), { numThreads: 1 });
    const input: HostTensor = { type: 'float32', data: Float32Array.from(rows.flat()), shape: [3, 4] };
    const outputs = await session.run({ logits: input });
    await session.dispose();
    const logs = rows.map(logSoftmax);
    const expected = rows.flatMap((row, at) =>
      row.map((_, id) => weights[at]! * (Math.exp(logs[at]![id]!) - Math.exp(logs[teachers[at]!]![id]!))),
    );
    [...outputs['gradient']!].forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 6));
    const total = weights.reduce((sum, w, at) => sum + w * divergenceOf(logs[teachers[at]!]!, logs[at]!), 0);
    expect(outputs['loss']![0]).toBeCloseTo(total, 6);
  });

  it('count a token once in the mean over random masks, with one chance for each block', () => {
    const random = new Random(11);
    const layout = { blockSize: 4, blockOffset: 2 };
    const numDraws = 20_000;
    const means = new Float64Array(10);
    for (let draw = 0; draw < numDraws; draw += 1) {
      const shares = randomMaskShares(random, 10, layout);
      shares.forEach((share, at) => (means[at]! += Math.min(share, 50) / numDraws));
      for (const block of [
        [0, 1],
        [2, 3, 4, 5],
        [6, 7, 8, 9],
      ]) {
        const masked = block.map((at) => shares[at]!).filter((share) => share > 0);
        expect(new Set(masked).size).toBeLessThanOrEqual(1);
        masked.forEach((share) => expect(share).toBeGreaterThanOrEqual(1));
      }
    }
    // E[min(1/p, 50) · masked] = E[min(1, 50p)] = 1 − 0.02 / 2; without the cut the variance has no useful bound.
    means.forEach((mean) => expect(Math.abs(mean - 0.99)).toBeLessThan(0.05));
  });
});
