import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { ModelSession } from '../device/device.ts';
import { openModel, RUNTIME_VERSION } from '../device/node-binding.ts';
import { loadTokenizer } from '../model/tokenizer-files.ts';
import type { EngineWorkerData, FromEngine, ToEngine } from './engine-messages.ts';
import { toEngineError } from './engine-messages.ts';
import { runtimeName } from './runtime.ts';
import { Scheduler } from './scheduler.ts';

// The engine's thread: it owns the model and every sequence, and runs one forward pass at a time.

const port = requirePort();
const emit = (message: FromEngine): void => port.postMessage(message);
const session = await open(workerData as EngineWorkerData);
if (session !== undefined) await serve(session, workerData as EngineWorkerData);
port.close();

async function open({ folder, numThreads }: EngineWorkerData): Promise<ModelSession | undefined> {
  try {
    return await openModel(folder, { numThreads });
  } catch (error) {
    emit({ type: 'failed', error: toEngineError(error) });
    return undefined;
  }
}

async function serve(session: ModelSession, { folder, maxConcurrent }: EngineWorkerData): Promise<void> {
  const tokenizer = loadTokenizer(folder.path, folder.config);
  const scheduler = new Scheduler({ session, tokenizer, maxConcurrent, emit });
  let isClosed = false;
  let wake = (): void => undefined;
  port.on('message', (message: ToEngine) => {
    if (message.type === 'close') isClosed = true;
    else deliver(scheduler, message);
    wake();
  });
  emit({ type: 'ready', runtime: runtimeName(RUNTIME_VERSION) });
  // Assigned by the listener above, which the checker cannot see.
  while (!(isClosed as boolean)) {
    if (await scheduler.step()) {
      // Messages arrive between macrotasks only: without this a long generation could not be cancelled.
      await setImmediate();
      continue;
    }
    scheduler.checkIntegrity();
    await new Promise<void>((resolve) => (wake = resolve));
  }
  await session.dispose();
}

function deliver(scheduler: Scheduler, message: Exclude<ToEngine, { type: 'close' }>): void {
  switch (message.type) {
    case 'submit':
      return scheduler.submit(message.id, message.request, message.numCredits);
    case 'credit':
      return scheduler.addCredits(message.id, message.numCredits);
    case 'cancel':
      return scheduler.cancel(message.id);
  }
}

function requirePort(): MessagePort {
  if (parentPort === null) throw new Error('engine-worker.ts runs as a worker thread only');
  return parentPort;
}
