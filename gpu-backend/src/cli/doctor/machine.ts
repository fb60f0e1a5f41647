import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { RUNTIME_VERSION } from '../../device/open.ts';
import { availableBytes } from '../../model/memory.ts';

export interface Machine {
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly numCores: number;
  readonly load: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  readonly onnxruntime: string;
}

/** Nothing that names the machine or its owner: the report is for others to read. */
export function describeMachine(): Machine {
  return {
    node: process.version,
    system: `${platform()} ${release()}, ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    numCores: availableParallelism(),
    load: loadavg()[0] ?? 0,
    memoryBytes: totalmem(),
    freeBytes: availableBytes(),
    onnxruntime: RUNTIME_VERSION,
  };
}
