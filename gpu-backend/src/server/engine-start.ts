import { Worker } from 'node:worker_threads';
import type { ModelFolder } from '../model/folder.ts';
import type { EngineWorkerData } from './engine-messages.ts';

export function workerData(options: EngineWorkerData): EngineWorkerData {
  const { folder, draftFolder } = options;
  return {
    folder: withoutTokenizer(folder),
    draftFolder: draftFolder && withoutTokenizer(draftFolder),
    numThreads: options.numThreads,
    device: options.device,
    precision: options.precision,
    cuda: options.cuda,
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

/** Functions can't be sent. */
function withoutTokenizer(folder: EngineWorkerData['folder']): EngineWorkerData['folder'] {
  const { tokenizer: _, ...rest } = folder as ModelFolder;
  return rest;
}
