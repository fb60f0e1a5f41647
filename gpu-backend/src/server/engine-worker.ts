import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { describeChoice } from '../device/choose.ts';
import type { Choice } from '../device/choose.ts';
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
import { StateReporter } from './state-reporter.ts';

// The engine's thread: it owns the model and every sequence, and runs one forward pass at a time.

const port = requirePort();
/** What was said since the last message, which is sent as one: all of a turn is one transaction of the journal. */
let outbox: FromEngine[] = [];
const emit = (message: FromEngine): void => {
  if (outbox.length === 0) queueMicrotask(post);
  outbox.push(message);
};
const post = (): void => {
  port.postMessage(outbox);
  outbox = [];
};
const data = workerData as EngineWorkerData;
const opened = await open(data);
if (opened !== undefined) await serve(opened, data);
port.close();

interface Opened {
  readonly model: ModelSession;
  readonly draft: ModelSession | undefined;
}

async function open(data: EngineWorkerData): Promise<Opened | undefined> {
  const { folder, draftFolder, numThreads, device, precision, cuda } = data;
  const options = { numThreads, device, precision, cuda };
  const onChoice = (choice: Choice): void =>
    emit({ type: 'opening', device: choice.device, lines: describeChoice(choice) });
  try {
    const draft = draftFolder && (await openModel(draftFolder, options));
    return { model: await openModel(folder, { ...options, onChoice }), draft };
  } catch (error) {
    emit({ type: 'failed', error: toEngineError(error) });
    return undefined;
  }
}

async function serve({ model, draft }: Opened, data: EngineWorkerData): Promise<void> {
  const { folder, sharePrefixes } = data;
  const tokenizer = loadTokenizer(folder.path, folder.config);
  const { engine, notes, close } = await createEngine(model, data, draft);
  const scheduler = new Scheduler({ engine, tokenizer, sharePrefixes, emit });
  const mailbox = new Mailbox(scheduler, await openGrammars(tokenizer, folder.config));
  port.on('message', (message: ToEngine) => mailbox.take(message));
  emit({ type: 'ready', runtime: runtimeName(RUNTIME_VERSION, model.gpu), notes });
  const reporter = new StateReporter(engine.residence, (state) => emit({ type: 'state', state }));
  while (!mailbox.isClosed) {
    if (await scheduler.step()) {
      reporter.tell(performance.now());
      // Messages arrive between macrotasks only: without this a long generation could not be cancelled.
      await setImmediate();
      continue;
    }
    scheduler.checkIntegrity();
    reporter.tell();
    await mailbox.next();
  }
  close();
  await draft?.dispose();
  await model.dispose();
}

function requirePort(): MessagePort {
  if (parentPort === null) throw new Error('engine-worker.ts runs as a worker thread only');
  return parentPort;
}
