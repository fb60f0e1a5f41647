import type { ModelOutline } from '../../model/folder.ts';
import { cpuMemory, formatBytes, leastBytes } from '../../model/memory.ts';
import { QUANTIZATIONS } from '../../model/quantization/scheme.ts';
import type { Findings } from './task.ts';

/** More threads must be so much faster to be worth them: HTTP and the edge need cores too. */
const WORTH = 0.9;

/** Flags for `npm start`, each with its reason; none: the defaults are right. */
export function recommend({ device, model }: Findings): { flag: string; reason: string }[] {
  if (model === undefined) return [];
  const advice: { flag: string; reason: string }[] = [];
  if (device === 'webgpu')
    advice.push({ flag: '--device webgpu', reason: 'auto does not take WebGPU by itself' });
  const fastest = model.threads.toSorted((a, b) => a.milliseconds - b.milliseconds)[0];
  const fewest = model.threads.find(
    ({ milliseconds }) => WORTH * milliseconds <= (fastest?.milliseconds ?? 0),
  );
  if (fewest !== undefined && fewest.numThreads !== model.numThreads) {
    const reason = `16 rows take ${fewest.milliseconds.toFixed(2)} ms with ${fewest.numThreads} thread(s)`;
    advice.push({ flag: `BACKEND_THREADS=${fewest.numThreads} (environment)`, reason });
  }
  return advice;
}

/** For a model that has no room: what would fit on the CPU. */
export function whatWouldFit(
  outline: ModelOutline,
  freeBytes: number,
): { flag: string; reason: string } | undefined {
  if (leastBytes(cpuMemory(outline)) <= freeBytes) return undefined;
  for (const quantization of QUANTIZATIONS) {
    const bytes = leastBytes(cpuMemory({ ...outline, quantization }));
    if (bytes <= freeBytes)
      return {
        flag: `--quantize ${quantization}`,
        reason: `it needs ${formatBytes(bytes)} so; other numbers, see docs/devices.md`,
      };
  }
  return undefined;
}
