/** Runs steps of a model on the CUDA device, over growing caches, and tells what each should have copied. */
import type { CudaOptions } from '../../../gpu-backend/src/device/cuda/options.ts';
import { DEFAULT_CUDA_OPTIONS } from '../../../gpu-backend/src/device/cuda/options.ts';
import type { ForwardOutput } from '../../../gpu-backend/src/device/device.ts';
import { openModel } from '../../../gpu-backend/src/device/open.ts';
import { batchOf, causalRows, tokensOf } from '../../../gpu-backend/src/device/testing.ts';
import type { FolderOptions } from '../../../gpu-backend/src/model/folder.ts';
import { loadModelFolder } from '../../../gpu-backend/src/model/folder.ts';
import type { Precision } from '../../../gpu-backend/src/model/precision.ts';
import { asked, mark, stepBytes, tell } from './shared.ts';

export interface StepsAsked {
  readonly models: readonly {
    readonly path: string;
    readonly options?: FolderOptions;
    readonly precision?: Precision;
    readonly candidates: boolean;
  }[];
  readonly graphs: CudaOptions['graphs'];
  readonly capacities: readonly number[];
  /** Of one shape. */
  readonly numRuns: number;
}

export interface StepsTold {
  readonly precisions: readonly Precision[];
  /** Of one row's logits, by model. */
  readonly rowBytes: readonly number[];
  /** By the phase's name. */
  readonly expected: Readonly<Record<string, { inputs: number; outputs: number }>>;
}

/** Rows of two sequences in each shape: the last is larger than what came before. */
const SHAPES = [
  [5, 2],
  [3, 9],
] as const;

const { models, graphs, capacities, numRuns } = asked<StepsAsked>();
const cuda = { ...DEFAULT_CUDA_OPTIONS, graphs };
const expected: Record<string, { inputs: number; outputs: number }> = {};
const precisions: Precision[] = [];
const rowBytes: number[] = [];
for (const [index, { path, options = {}, precision, candidates }] of models.entries()) {
  const folder = loadModelFolder(path, options);
  mark(`load ${index}`);
  const session = await openModel(folder, { numThreads: 1, device: 'cuda', candidates, precision, cuda });
  precisions.push(session.gpu?.precision ?? 'float32');
  rowBytes.push(4 * folder.config.vocabSize);
  let output: ForwardOutput | undefined;
  mark(`cache ${index}`);
  const caches = capacities.map((capacity) => session.createCache(2, capacity));
  // Back to the first, whose passes' inputs moved meanwhile: they had to grow for the others.
  for (const [turn, cache] of [...caches, ...caches.slice(0, 1)].entries()) {
    for (const [shape, counts] of SHAPES.entries()) {
      for (let run = 0; run < numRuns; run += 1) {
        const slots = counts.map((count, slot) => causalRows(tokensOf(count, run + slot), run));
        const batch = batchOf(cache.capacity, slots, { numCandidates: candidates ? 6 : 0 });
        const name = `run ${index} ${turn} ${shape} ${run}`;
        expected[name] = stepBytes(folder.config, batch, cache.capacity, candidates);
        mark(name);
        output = await session.run(cache, batch);
      }
    }
  }
  mark(`row ${index}`);
  output?.logits(1);
  mark('dispose');
  for (const cache of caches) cache.dispose();
  await session.dispose();
}
mark('end');
tell({ precisions, rowBytes, expected } satisfies StepsTold);
