import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TidarError } from '@tidar/shared/errors.ts';
import { assertSameTokens } from '../decode/same-tokens.ts';
import type { ModelFolder, ModelOutline } from '../model/folder.ts';
import { loadModelFolder } from '../model/folder.ts';
import { assertFits, countParameters, cpuMemory } from '../model/memory.ts';
import { createApp } from './app.ts';
import { Backend } from './backend.ts';
import type { ServerConfig } from './config.ts';
import { ConfigError, engineSettings, parseServerConfig, settingsHelp } from './config.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineClientOptions } from './engine-client.ts';
import type { EngineWorkerData } from './engine-messages.ts';
import { Heartbeats } from './heartbeats.ts';
import { createHttpServer } from './http-server.ts';
import type { Log } from './log.ts';
import { logToStderr } from './log.ts';
import { hasAllocatorEnvironment } from '../device/allocator-environment.ts';
import { isCpuName } from '../device/names.ts';
import { shutDownOnSignal } from './shutdown.ts';

const HELP = `Serves one model folder to holders of a lease.

  node gpu-backend/src/server/main.ts --model <folder>

${settingsHelp()}

LEASE_SECRETS in the environment holds the secrets that check leases, separated by commas.
The process needs MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ as npm start sets them.`;

async function main(args: string[]): Promise<void> {
  if (args.includes('--help')) return report(HELP);
  const config = parseServerConfig(args, process.env);
  const log = logToStderr;
  if (process.platform === 'linux' && !hasAllocatorEnvironment(process.env)) log('malloc_thresholds_not_set');
  const folder = loadModelFolder(config.modelPath, config, (outline) => reportModel(outline, config));
  const draftFolder = loadDraftModel(config, folder);
  const engine = createEngine(config, { folder, draftFolder }, log);
  const backend = new Backend(config, folder, engine, log);
  const server = createHttpServer(createApp(backend).fetch);
  const port = await listen(server, config);
  backend.instance = config.instance ?? `http://${hostInUrl(config.host)}:${port}`;
  engine.start();
  const heartbeats = config.edge === undefined ? undefined : new Heartbeats(backend, config.edge);
  shutDownOnSignal(backend, server, heartbeats);
  const runtime = await engine.ready;
  report(`runtime      ${runtime}, ${config.numThreads} thread(s): ${config.numThreadsReason}`);
  report(`fingerprint  ${backend.model.fingerprint}`);
  report(`listening    ${backend.instance}`);
  void heartbeats?.beat();
}

function createEngine(
  config: ServerConfig,
  folders: Pick<EngineWorkerData, 'folder' | 'draftFolder'>,
  log: Log,
): EngineClient {
  const onOpening: EngineClientOptions['onOpening'] = (lines) =>
    lines.forEach(([label, text]) => report(`${label.padEnd(12)} ${text}`));
  return new EngineClient({ ...engineSettings(config), ...folders, log, onOpening, onFatal: exitWith });
}

function loadDraftModel({ draftModelPath }: ServerConfig, folder: ModelFolder): ModelFolder | undefined {
  if (draftModelPath === undefined) return undefined;
  const draft = loadModelFolder(draftModelPath);
  assertSameTokens(draft, folder);
  report(`draft model  ${draft.name}, ${size(draft)} parameters`);
  return draft;
}

async function listen(server: Server, { host, port }: ServerConfig): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw new ConfigError(
      isTaken
        ? `Port ${port} on ${host} is taken; give another one by --port.`
        : `Cannot listen on ${host}:${port}: ${(error as Error).message}.`,
    );
  }
  return (server.address() as AddressInfo).port;
}

/** What it is, before any weight is read; one that can only run on the CPU and has no room there goes no further. */
function reportModel(folder: ModelOutline, { device }: ServerConfig): void {
  const { name, config, quantization } = folder;
  const bits = quantization === undefined ? '' : `, products’ weights in ${quantization}`;
  const mode = config.tidar === undefined ? 'no diffusion mode' : `TiDAR block ${config.tidar.blockSize}`;
  report(
    `model        ${name}: ${config.architecture}, ${size(folder)} parameters, context ${config.maxPositions}, ${mode}${bits}`,
  );
  if (isCpuName(device)) assertFits(name, cpuMemory(folder));
}

function size(folder: ModelOutline): string {
  const numParameters = countParameters(folder);
  return numParameters < 1e6 ? `${numParameters}` : `${(numParameters / 1e6).toFixed(1)}M`;
}

const hostInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function report(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One sentence for what the operator can mend; a stack only for what is a bug. */
function exitWith(error: unknown): void {
  const isExpected = error instanceof ConfigError || error instanceof TidarError;
  const internal = error instanceof TidarError && error.internal !== undefined ? ` (${error.internal})` : '';
  process.stderr.write(`${isExpected ? `${error.message}${internal}` : String((error as Error).stack)}\n`);
  process.exit(1);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  exitWith(error);
}
