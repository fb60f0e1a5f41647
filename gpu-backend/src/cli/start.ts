import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { runCommand } from './flags.ts';
import { DEMO_MODEL } from './open-model.ts';
import type { Child } from './start/child.ts';
import { demoKey } from './start/demo-key.ts';
import { whenInterrupted } from './start/interrupt.ts';
import type { StartOptions } from './start/options.ts';
import { parseStartOptions, START_HELP } from './start/options.ts';
import { anyFreePort, findFreePort, HOST } from './start/ports.ts';
import { DEMO_QUESTIONS, readyCommand } from './start/ready-command.ts';
import { StartState } from './start/state.ts';
import { startBackend, startEdge, whenBackendHealthy, whenHealthy } from './start/system.ts';

// `npm start`: the whole system on this machine, from one command to one Ctrl-C.

const START_LIMIT_MS = 300_000;
const STOP_LIMIT_MS = 12_000;

const MORE_QUESTIONS = [
  '\nIt knows word problems and country facts like these, and little in other words:\n',
  ...DEMO_QUESTIONS.map((question) => `  ${question}`),
].join('\n');

const say = (line = ''): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const options = parseStartOptions(process.argv.slice(2), process.env);
  if (options === undefined) return say(START_HELP);
  assertModel(options.modelPath);
  const state = StartState.open(options.statePath);
  const children: Child[] = [];
  const interrupted = whenInterrupted(() => children.forEach((child) => child.kill())).then(() =>
    say('\nStopping …'),
  );
  try {
    await Promise.race([runSystem(options, state, children), interrupted]);
  } finally {
    await stopAll(children);
    state.close();
  }
  say('All stopped.');
}

function assertModel(path: string): void {
  if (existsSync(join(path, 'config.json'))) return;
  const sentence = `There is no model in ${path} (no config.json there); give a model folder with --model.`;
  throw new TidarError('model_folder_invalid', sentence);
}

/** Starts everything and watches over it; settles only by throwing, when a part ends by itself. */
async function runSystem(options: StartOptions, state: StartState, children: Child[]): Promise<never> {
  const secrets = state.secrets();
  const backendPort = await choosePort('the backend', options.backendPort, []);
  const port = await choosePort('the edge', options.port, [backendPort]);
  const backendUrl = `http://${HOST}:${backendPort}`;
  const edgeUrl = `http://${HOST}:${port}`;
  say(`Starting the backend and the edge (state in ${options.statePath}) …`);
  const backend = startBackend(options, backendPort, state, secrets, showLines('backend', options.isVerbose));
  children.push(backend);
  const edgeOptions = { port, inspectorPort: await anyFreePort(), backendUrl };
  const edge = startEdge(edgeOptions, state, secrets, showLines('edge', options.isVerbose));
  children.push(edge);
  const anyEnded = Promise.race(children.map(throwAtEnd));
  const isDemo = options.modelPath === DEMO_MODEL;
  const announced = announceWhenReady({ backendUrl, edgeUrl, isDemo }, secrets.adminToken, state);
  await Promise.race([announced, anyEnded]);
  return anyEnded;
}

interface System {
  readonly backendUrl: string;
  readonly edgeUrl: string;
  readonly isDemo: boolean;
}

async function announceWhenReady(
  { backendUrl, edgeUrl, isDemo }: System,
  adminToken: string,
  state: StartState,
): Promise<void> {
  const signal = AbortSignal.timeout(START_LIMIT_MS);
  try {
    const model = await whenBackendHealthy(backendUrl, signal);
    say('The backend is ready; waiting for the edge …');
    await whenHealthy(edgeUrl, signal);
    const key = await demoKey(edgeUrl, adminToken, state);
    state.storeAddress(edgeUrl);
    if (model === undefined) throw new TidarError('internal', 'The backend serves no model.');
    say(`\n  address  ${edgeUrl}/v1\n  key      ${key}\n  model    ${model.id}`);
    say(`  page     ${edgeUrl}/ (takes the key; the console is at ${edgeUrl}/console)\n`);
    say(
      model.has_tokenizer
        ? 'Ask it something:\n'
        : 'This model has no tokenizer, so it cannot chat; its card:\n',
    );
    say(readyCommand(edgeUrl, key, model));
    if (isDemo) say(MORE_QUESTIONS);
    say('\nCtrl-C ends everything.');
  } catch (error) {
    if (!signal.aborted) throw error;
    const seconds = START_LIMIT_MS / 1000;
    throw new TidarError(
      'internal',
      `The system was not ready after ${seconds} s; --verbose shows its logs.`,
    );
  }
}

async function choosePort(name: string, wanted: number, reserved: readonly number[]): Promise<number> {
  const port = await findFreePort(wanted, reserved);
  if (port !== wanted) say(`Port ${wanted} is taken: ${name} uses ${port} instead.`);
  return port;
}

/** The backend's report of what it loads is for the person; logs are shown where they were asked for. */
function showLines(name: 'backend' | 'edge', isVerbose: boolean): (line: string, stream: string) => void {
  return (line, stream) => {
    if (name === 'backend' && stream === 'stdout') say(`  ${line}`);
    else if (isVerbose && line.trim() !== '') process.stderr.write(`[${name}] ${line}\n`);
  };
}

async function throwAtEnd(child: Child): Promise<never> {
  await child.exited;
  throw new TidarError('internal', child.describeEnd());
}

/** The backend first: what it still streams goes through the edge. */
async function stopAll(children: readonly Child[]): Promise<void> {
  for (const child of children) await child.stop(STOP_LIMIT_MS);
}

await runCommand('npm start', main);
