import { parentPort, workerData } from 'node:worker_threads';
import { loadTokenizer } from '../../gpu-backend/src/model/tokenizer-files.ts';
import type { EngineWorkerData, FromEngine, ToEngine } from '../../gpu-backend/src/server/engine-messages.ts';
import { type Pace, PacedEngine } from './paced-engine.ts';

// In the place of the engine's thread: see PacedEngine.

const TICK_MS = 5;

const { folder, pace } = workerData as EngineWorkerData & { readonly pace: Pace };
const tokenizer = loadTokenizer(folder.path, folder.config);
if (parentPort === null || tokenizer === undefined)
  throw new Error('a worker thread, of a model with a tokenizer');
const port = parentPort;
let outbox: FromEngine[] = [];
const post = (): void => {
  port.postMessage(outbox);
  outbox = [];
};
const engine = new PacedEngine(pace, tokenizer, (message) => {
  if (outbox.length === 0) queueMicrotask(post);
  outbox.push(message);
});
const timer = setInterval(() => engine.tick(performance.now()), TICK_MS);
port.on('message', (message: ToEngine) => {
  if (message.type !== 'close') return engine.take(message, performance.now());
  clearInterval(timer);
  port.close();
});
port.postMessage([{ type: 'ready', runtime: `no model: a token every ${pace.intervalMs} ms`, notes: [] }]);
