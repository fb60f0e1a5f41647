/** Runs steps in one thread after another, as an engine that is started again does; the second is ended from outside. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { parseCudaOptions } from '../../../gpu-backend/src/device/cuda/options.ts';
import { openModel } from '../../../gpu-backend/src/device/open.ts';
import { batchOf, causalRows, tokensOf } from '../../../gpu-backend/src/device/testing.ts';
import { loadModelFolder } from '../../../gpu-backend/src/model/folder.ts';
import { asked, tell } from './shared.ts';

export interface ThreadsTold {
  /** What each thread said. */
  readonly said: readonly string[];
}

const { path } = asked<{ path: string }>();
if (isMainThread) {
  const said: string[] = [];
  for (const isKilled of [false, true, false]) {
    const thread = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
    thread.on('error', (error) => said.push(String(error)));
    thread.on('message', (message: string) => {
      said.push(message);
      if (isKilled) void thread.terminate();
    });
    await once(thread, 'exit');
  }
  tell({ said } satisfies ThreadsTold);
} else {
  const cuda = parseCudaOptions('graphs=on');
  const session = await openModel(loadModelFolder(path), { numThreads: 1, device: 'cuda', cuda });
  const cache = session.createCache(1, 64);
  for (let run = 0; run < 6; run += 1) await session.run(cache, batchOf(64, [causalRows(tokensOf(3))]));
  parentPort?.postMessage('ran');
}
