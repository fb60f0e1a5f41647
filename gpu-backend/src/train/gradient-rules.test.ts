import { describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import { openGraph } from '../device/graph-session.ts';
import type { HostTensor } from '../device/graph-session.ts';
import { GraphBuilder } from '../model/graph/builder.ts';
import type { Value } from '../model/graph/builder.ts';
import * as ops from '../model/graph/ops.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { CustomGradients, gradients } from './autodiff.ts';
import { trainingAttention } from './attention.ts';
import { diffusionMasks, takenRows } from './batch.ts';
import { GRADIENT_RULES } from './gradient-rules.ts';
import { crossEntropy } from './loss.ts';

interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly build: (b: GraphBuilder, inputs: Value[], custom: CustomGradients) => Value;
}

const labels = (b: GraphBuilder): Value => b.list([3, 0, 3, 4]);
const angles = (b: GraphBuilder, f: (x: number) => number): Value =>
  b.constant('float32', [1, 3, 2], Float32Array.from([0, 0, 1, 0.3, 2, 0.6], f));
const tinyConfig = { numHeads: 4, numKeyValueHeads: 2, headDim: 2 };

function attentionCase(
  { batch, numTokens }: { batch: number; numTokens: number },
  diffusion?: { window: number; blockSize: number; blockOffset?: number; numMaskRows?: number },
): Case {
  const { window = 0, numMaskRows = numTokens } = diffusion ?? {};
  const numRows = batch * (numTokens + (diffusion === undefined ? 0 : numMaskRows));
  return {
    name: `attention of the doubled sequence, ${JSON.stringify(diffusion ?? 'AR only')}`,
    shapes: [4, 2, 2].map((heads) => [1, numRows, heads * 2]),
    build: (b, [q, k, v], custom) => {
      const data = Float32Array.from({ length: numTokens ** 2 }, (_, at) =>
        at % numTokens <= Math.floor(at / numTokens) ? 0 : -1e9,
      );
      const causal = b.constant('float32', [numTokens, numTokens], data);
      const shape = { batch, numTokens, window, numMaskRows };
      if (diffusion === undefined) {
        const masks = { causal, cleanForMasks: causal, ownBlock: causal };
        return trainingAttention(b, custom, tinyConfig, shape, masks)(q!, k!, v!);
      }
      const rows = Array.from({ length: batch }, (_, turn) =>
        takenRows(numTokens, { ...diffusion, turn }, []),
      );
      const own = diffusionMasks(numTokens, rows.flat(), window);
      const masks = {
        causal,
        cleanForMasks: b.constant('float32', [batch, numMaskRows, numTokens], own.cleanForMasks),
        ownBlock: b.constant('float32', [batch, numMaskRows, window], own.ownBlock),
      };
      return trainingAttention(b, custom, tinyConfig, shape, masks)(q!, k!, v!);
    },
  };
}

const CASES: readonly Case[] = [
  { name: 'Add, broadcast', shapes: [[3, 4], [4]], build: (b, [x, y]) => ops.add(b, x!, y!) },
  {
    name: 'Sub, broadcast',
    shapes: [
      [3, 4],
      [3, 1],
    ],
    build: (b, [x, y]) => ops.sub(b, x!, y!),
  },
  {
    name: 'Mul, broadcast',
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    build: (b, [x, y]) => ops.mul(b, x!, y!),
  },
  { name: 'Mul of a value by itself', shapes: [[5]], build: (b, [x]) => ops.mul(b, x!, x!) },
  { name: 'Neg', shapes: [[5]], build: (b, [x]) => ops.neg(b, x!) },
  { name: 'Sigmoid', shapes: [[5]], build: (b, [x]) => ops.sigmoid(b, x!) },
  { name: 'SiLU', shapes: [[5]], build: (b, [x]) => ops.silu(b, x!) },
  { name: 'Softmax', shapes: [[3, 4]], build: (b, [x]) => ops.softmax(b, x!) },
  { name: 'ReduceSum', shapes: [[2, 3, 4]], build: (b, [x]) => ops.reduceSum(b, x!, [1], false) },
  { name: 'Reshape', shapes: [[2, 6]], build: (b, [x]) => ops.reshape(b, x!, [3, 4]) },
  { name: 'Transpose', shapes: [[2, 3, 4]], build: (b, [x]) => ops.transpose(b, x!, [2, 0, 1]) },
  {
    name: 'Concat',
    shapes: [
      [2, 3],
      [2, 2],
    ],
    build: (b, values) => ops.concat(b, values, 1),
  },
  ...[false, true].flatMap((transX) =>
    [false, true].flatMap((transY): Case[] => [
      {
        name: `Gemm with bias, transposed ${transX}, ${transY}`,
        shapes: [transX ? [4, 3] : [3, 4], transY ? [2, 4] : [4, 2], [2]],
        build: (b, [x, y, bias]) => ops.gemm(b, x!, y!, { transX, transY, bias }),
      },
      {
        name: `FusedMatMul, transposed ${transX}, ${transY}, one side broadcast`,
        shapes: [transX ? [2, 3, 4, 3] : [2, 3, 3, 4], transY ? [2, 1, 2, 4] : [2, 1, 4, 2]],
        build: (b, [x, y]) => ops.batchedMatMul(b, x!, y!, { transX, transY, alpha: 0.7 }),
      },
    ]),
  ),
  { name: 'Gather, a row twice', shapes: [[5, 3]], build: (b, [x]) => ops.gatherRows(b, x!, labels(b)) },
  { name: 'RMSNormalization', shapes: [[3, 4], [4]], build: (b, [x, s]) => ops.rmsNorm(b, x!, s!, 1e-5) },
  {
    name: 'RotaryEmbedding',
    shapes: [[1, 2, 3, 4]],
    build: (b, [x]) => ops.rotary(b, x!, angles(b, Math.cos), angles(b, Math.sin)),
  },
  {
    name: 'cross-entropy',
    shapes: [[4, 5]],
    build: (b, [x], custom) => crossEntropy(b, custom, x!, labels(b)),
  },
  {
    name: 'RotaryEmbedding of heads side by side',
    shapes: [[1, 3, 8]],
    build: (b, [x]) => ops.rotary(b, x!, angles(b, Math.cos), angles(b, Math.sin), 2),
  },
  attentionCase({ batch: 2, numTokens: 4 }),
  attentionCase({ batch: 2, numTokens: 4 }, { window: 2, blockSize: 2 }),
  attentionCase({ batch: 1, numTokens: 8 }, { window: 4, blockSize: 2, blockOffset: 1 }),
  attentionCase({ batch: 2, numTokens: 8 }, { window: 4, blockSize: 2, numMaskRows: 4 }),
];

const size = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

function normalData(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => (random.integer(-1000, 1000) + 0.5) / 700);
}

/** The loss is a fixed random weighting of the outputs, so that no gradient is 0 by symmetry. */
async function makeCase(testCase: Case) {
  const random = new Random(5);
  const b = new GraphBuilder();
  const custom = new CustomGradients();
  const inputs = testCase.shapes.map((shape, index) => b.input(`x${index}`, 'float32', shape));
  const output = testCase.build(b, inputs, custom);
  const shape = output.shape.map(Number);
  const weighting = b.constant('float32', shape, normalData(random, size(shape)));
  const all = shape.map((_, axis) => axis);
  const loss = ops.reduceSum(b, ops.mul(b, output, weighting), all, false);
  gradients(b, loss, inputs, custom).forEach((gradient, index) => b.output(`d${index}`, gradient));
  b.output('loss', loss);
  const session = await openGraph(serializeModel(b, 'case'), { numThreads: 1 });
  const data = testCase.shapes.map((each) => normalData(random, size(each)));
  const feeds = (): Record<string, HostTensor> =>
    Object.fromEntries(
      data.map((values, index) => [
        `x${index}`,
        { type: 'float32' as const, data: values, shape: testCase.shapes[index]! },
      ]),
    );
  return { session, data, feeds };
}

describe('every op’s gradient equals finite differences', () => {
  it.each(CASES)('$name', async (testCase) => {
    const { session, data, feeds } = await makeCase(testCase);
    const computed = await session.run(feeds());
    const width = 1e-2;
    for (const [index, values] of data.entries()) {
      for (const [at, value] of values.entries()) {
        const lossAt = async (moved: number): Promise<number> => {
          values[at] = moved;
          const outputs = await session.run(feeds());
          values[at] = value;
          return outputs['loss']![0]!;
        };
        const difference = ((await lossAt(value + width)) - (await lossAt(value - width))) / (2 * width);
        const found = computed[`d${index}`]![at]!;
        expect(
          Math.abs(found - difference),
          `input ${index}, element ${at}: ${found} against ${difference}`,
        ).toBeLessThan(5e-3 * Math.max(1, Math.abs(difference)));
      }
    }
    await session.dispose();
  });

  it('leaves no rule untested', () => {
    const b = new GraphBuilder();
    const custom = new CustomGradients();
    for (const { shapes, build } of CASES) {
      build(
        b,
        shapes.map((shape, index) => b.input(`x${index}`, 'float32', shape)),
        custom,
      );
    }
    const tested = new Set(b.nodes.map((node) => node.opType));
    expect(Object.keys(GRADIENT_RULES).filter((opType) => !tested.has(opType))).toEqual([]);
  });
});
