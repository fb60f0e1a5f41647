import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { createAdaptorServer } from '@hono/node-server';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import { createApp } from '../../gpu-backend/src/server/app.ts';
import { Backend } from '../../gpu-backend/src/server/backend.ts';
import { engineSettings, parseServerConfig } from '../../gpu-backend/src/server/config.ts';
import { EngineClient } from '../../gpu-backend/src/server/engine-client.ts';
import { workerData } from '../../gpu-backend/src/server/engine-start.ts';
import { logToStderr } from '../../gpu-backend/src/server/log.ts';
import { shutDownOnSignal } from '../../gpu-backend/src/server/shutdown.ts';
import { pacedTokenIds } from './paced-text.ts';

// For `npm run bench -- load`: the real backend around an engine that only keeps time, a token every PACE_MS.

const WORKER = new URL('./paced-worker.ts', import.meta.url);

const config = parseServerConfig(process.argv.slice(2), process.env);
const folder = loadModelFolder(config.modelPath, config);
const pace = { intervalMs: Number(process.env['PACE_MS']), tokenIds: pacedTokenIds(folder.tokenizer) };
const engine = new EngineClient({
  ...engineSettings(config),
  folder,
  log: logToStderr,
  onFatal: (error) => {
    throw error;
  },
  startWorker: (data) => new Worker(WORKER, { workerData: { ...workerData(data), pace } }),
});
const backend = new Backend(config, folder, engine, logToStderr);
const server = createAdaptorServer({
  fetch: createApp(backend).fetch,
  overrideGlobalObjects: false,
}) as Server;
server.listen(config.port, config.host);
await once(server, 'listening');
backend.instance = `http://${config.host}:${(server.address() as AddressInfo).port}`;
engine.start();
shutDownOnSignal(backend, server, undefined);
process.stdout.write(`device       ${await engine.ready}\nlistening    ${backend.instance}\n`);
