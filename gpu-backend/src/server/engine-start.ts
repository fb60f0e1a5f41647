import { Worker } from 'node:worker_threads';
import type { EngineWorkerData } from './engine-messages.ts';

/** Without the tokenizer: functions can't be sent. */
export function workerData(options: EngineWorkerData): EngineWorkerData {
  const { path, name, config, tensors, contentHash } = options.folder;
  return {
    folder: { path, name, config, tensors, contentHash },
    numThreads: options.numThreads,
    device: options.device,
    maxConcurrent: options.maxConcurrent,
    maxCacheBytes: options.maxCacheBytes,
    prefixCacheBytes: options.prefixCacheBytes,
    sharePrefixes: options.sharePrefixes,
    prefillChunkTokens: options.prefillChunkTokens,
  };
}

export function startWorker(data: EngineWorkerData): Worker {
  return new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData: data });
}
