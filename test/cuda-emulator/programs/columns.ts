/** Moves columns about in caches on the GPU and in caches on the host, and tells whether both hold the same. */
import koffi from 'koffi';
import { CudaCache } from '../../../gpu-backend/src/device/cuda/cache.ts';
import type { KvCache } from '../../../gpu-backend/src/device/device.ts';
import { HostCache } from '../../../gpu-backend/src/device/host-cache.ts';
import { openModel } from '../../../gpu-backend/src/device/open.ts';
import { loadModelFolder } from '../../../gpu-backend/src/model/folder.ts';
import { asked, mark, tell } from './shared.ts';

export interface ColumnsTold {
  /** Tensors of caches that are not all zero when they are new. */
  readonly numSoiled: number;
  /** Caches whose content differs from what the host's moves gave. */
  readonly numDifferent: number;
  readonly numBytesPerColumn: number;
  /** What was moved: columns by the phase's name. */
  readonly moved: Readonly<Record<string, number>>;
}

const { path } = asked<{ path: string }>();
const session = await openModel(loadModelFolder(path), { numThreads: 1, device: 'cuda' });
const { config } = session;

/** The emulated GPU's memory is the host's. */
function tensorsOf(cache: KvCache): Float32Array[] {
  if (cache instanceof HostCache) return [...cache.tensors];
  if (!(cache instanceof CudaCache)) throw new TypeError('a cache of another device');
  const numBytes = cache.numBytes / cache.tensors.length;
  return cache.tensors.map((tensor) => new Float32Array(koffi.view(tensor, numBytes)));
}

const shapes = [
  [2, 16],
  [3, 24],
] as const;
const onGpu = shapes.map(([numSlots, capacity]) => session.createCache(numSlots, capacity));
const numSoiled = onGpu.flatMap(tensorsOf).filter((tensor) => tensor.some((value) => value !== 0)).length;
const onHost = shapes.map(([numSlots, capacity]) => {
  return new HostCache(config, numSlots, capacity, (length) => new Float32Array(length));
});
for (const caches of [onGpu, onHost]) {
  for (const [seed, cache] of caches.entries())
    tensorsOf(cache).forEach((tensor, index) =>
      tensor.forEach((_, at) => (tensor[at] = 1000 * seed + 100 * index + at / 7)),
    );
}

const moved: Record<string, number> = {};
/** The same moves on both sides; columns of the target are counted. */
function move(name: string, numColumns: number, work: (caches: readonly KvCache[]) => void): void {
  work(onHost);
  moved[name] = numColumns;
  mark(name);
  work(onGpu);
  mark('between');
}
const at = (caches: readonly KvCache[], index: number): KvCache => {
  const cache = caches[index];
  if (cache === undefined) throw new RangeError(`no cache ${index}`);
  return cache;
};
move('to another cache', 5, (caches) => at(caches, 0).copyColumns(1, { start: 3, end: 8 }, at(caches, 1), 2));
move('within a cache', 16, (caches) => at(caches, 1).copyColumns(2, { start: 0, end: 16 }, at(caches, 1), 0));
move('none', 0, (caches) => at(caches, 0).copyColumns(0, { start: 4, end: 4 }, at(caches, 0), 1));
move('saved and restored', 7 + 4, (caches) => {
  const saved = at(caches, 1).save(1, { start: 2, end: 9 });
  at(caches, 0).restore(0, 11, saved, { start: 3, end: 7 });
  saved.dispose();
});
const numDifferent = onGpu.filter((cache, index) => {
  const host = tensorsOf(at(onHost, index));
  return tensorsOf(cache).some((tensor, which) =>
    tensor.some((value, place) => value !== host[which]?.[place]),
  );
}).length;
mark('end');
for (const cache of onGpu) cache.dispose();
await session.dispose();
tell({ numSoiled, numDifferent, numBytesPerColumn: session.numBytesPerColumn, moved } satisfies ColumnsTold);
