import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { ModelSession } from '../device/device.ts';
import { openModel, RUNTIME_VERSION } from '../device/open.ts';
import { loadTokenizer } from '../model/tokenizer-files.ts';
import { createEngine } from './engine-setup.ts';
import { openGrammars } from './grammars.ts';
import type { EngineWorkerData, FromEngine, ToEngine } from './engine-messages.ts';
import { toEngineError } from './engine-messages.ts';
import { Mailbox } from './mailbox.ts';
import { runtimeName } from './runtime.ts';
import { Scheduler } from './scheduler.ts';

// The engine's thread: it owns the model and every sequence, and runs one forward pass at a time.

const port = requirePort();
const emit = (message: FromEngine): void => port.postMessage(message);
const session = await open(workerData as EngineWorkerData);
if (session !== undefined) await serve(session, workerData as EngineWorkerData);
port.close();

async function open({ folder, numThreads, device }: EngineWorkerData): Promise<ModelSession | undefined> {
  try {
    return await openModel(folder, { numThreads, ...(device === undefined ? {} : { device }) });
  } catch (error) {
    emit({ type: 'failed', error: toEngineError(error) });
    return undefined;
  }
}

async function serve(model: ModelSession, data: EngineWorkerData): Promise<void> {
  const { folder, sharePrefixes } = data;
  const tokenizer = loadTokenizer(folder.path, folder.config);
  const { engine, notes, close } = await createEngine(model, data);
  const scheduler = new Scheduler({ engine, tokenizer, sharePrefixes, emit });
  const mailbox = new Mailbox(scheduler, await openGrammars(tokenizer, folder.config));
  port.on('message', (message: ToEngine) => mailbox.take(message));
  emit({ type: 'ready', runtime: runtimeName(RUNTIME_VERSION), notes });
  while (!mailbox.isClosed) {
    if (await scheduler.step()) {
      // Messages arrive between macrotasks only: without this a long generation could not be cancelled.
      await setImmediate();
      continue;
    }
    scheduler.checkIntegrity();
    await mailbox.next();
  }
  close();
  await model.dispose();
}

function requirePort(): MessagePort {
  if (parentPort === null) throw new Error('engine-worker.ts runs as a worker thread only');
  return parentPort;
}
