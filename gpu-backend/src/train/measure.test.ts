import { describe, expect, it } from 'vitest';
import { measureTraining } from './measure.ts';
import { flopsOf, productsOf } from './products.ts';
import { GraphBuilder } from '../model/graph/builder.ts';
import { batchedMatMul, gemm } from '../model/graph/ops.ts';
import { modelSizeSchema, trainingSettingsSchema } from './settings.ts';

const SIZE = modelSizeSchema.parse({ hiddenSize: 16, numLayers: 2, intermediateSize: 24, maxPositions: 64 });

describe('the measure of training', () => {
  it.each([true, false])(
    'counts six operations for each weight and row, and attention’s products (AR only: %s)',
    async (arOnly) => {
      const settings = trainingSettingsSchema.parse({ batchSize: 2, numTokens: 16, blockSizes: [8], arOnly });
      const measured = await measureTraining({
        size: SIZE,
        vocabSize: 32,
        settings,
        numThreads: 1,
        numRounds: 1,
      });
      const rows = 2 * 16 * (arOnly ? 1 : 2);
      const headDim = SIZE.hiddenSize / SIZE.numHeads;
      const keyValueWidth = SIZE.numKeyValueHeads * headDim;
      const layer = 2 * 16 * 16 + 2 * keyValueWidth * 16 + 3 * 24 * 16;
      const linear = 6 * rows * (SIZE.numLayers * layer + 32 * 16);
      // Scores and values: a row by all S clean columns, and a mask row by its window too; forward once, backward twice.
      const columns = arOnly ? 16 : 16 + 16 + 8;
      const attention = 3 * 2 * 2 * (2 * SIZE.numLayers * SIZE.numHeads * 16 * columns * headDim);
      expect(measured.flops).toBe(linear + attention);
      expect(measured.numParameters).toBe(SIZE.numLayers * (layer + 32) + 32 * 16 + 16);
      expect(measured.stepRate * measured.secondsPerStep).toBeCloseTo(measured.flops, 0);
      expect(measured.fastestRate).toBeGreaterThanOrEqual(measured.plainRate);
    },
  );

  it('sees a product’s sizes through its transpositions', () => {
    const b = new GraphBuilder();
    const [x, y] = [b.input('x', 'float32', [7, 3]), b.input('y', 'float32', [5, 7])];
    gemm(b, x, y, { transX: true, transY: true });
    const [u, v] = [b.input('u', 'float32', [2, 4, 3, 6]), b.input('v', 'float32', [2, 4, 5, 6])];
    batchedMatMul(b, u, v, { transY: true });
    expect(productsOf(b).map(flopsOf)).toEqual([2 * 3 * 7 * 5, 2 * 8 * 3 * 6 * 5]);
  });
});
