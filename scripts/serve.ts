/** `npm run serve`: the edge on a machine of one's own, from the start to a drained end. */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TidarError } from '@tidar/shared/errors.ts';
import { addressOf } from '../edge/deploy/workerd-config.ts';
import { FlagError, runCommand } from '../gpu-backend/src/cli/flags.ts';
import type { Child } from '../gpu-backend/src/cli/start/child.ts';
import { whenInterrupted } from '../gpu-backend/src/cli/start/interrupt.ts';
import { takeLock } from '../gpu-backend/src/cli/start/lock.ts';
import { tryPort } from '../gpu-backend/src/cli/start/ports.ts';
import type { ServeOptions } from './serve/options.ts';
import { assertEnvironment, parseServeOptions, SERVE_HELP } from './serve/options.ts';
import { lockPathOf, prepareWorker, startWorkerd } from './serve/workerd.ts';

const START_LIMIT_MS = 60_000;
const POLL_MS = 50;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const options = parseServeOptions(process.argv.slice(2), process.env);
  if (options === undefined) return say(SERVE_HELP);
  // A second signal leaves workerd to the guard, which ends it.
  const interrupted = whenInterrupted();
  mkdirSync(options.statePath, { recursive: true, mode: 0o700 });
  assertAlone(options.statePath);
  const worker = prepareWorker(options);
  const variables = { ...worker.vars, ...options.variables };
  assertEnvironment(variables);
  await assertFree(options);
  for (const binding of worker.missing) say(`${binding} is left out: it is a service of Cloudflare's.`);
  const workerd = startWorkerd(options, worker, variables);
  try {
    await Promise.race([serve(options, workerd), interrupted]);
  } finally {
    await workerd.stop(options.drainLimitMs);
  }
  say('stopped');
}

/** Settles only by throwing, when workerd ends by itself. */
async function serve(options: ServeOptions, workerd: Child): Promise<never> {
  const ended = workerd.exited.then(() => {
    throw new TidarError('internal', workerd.describeEnd());
  });
  await Promise.race([whenAnswering(urlOf(options)), ended]);
  say(`state        ${options.statePath}`);
  say(`listening    ${urlOf(options)}`);
  return ended;
}

/** Any answer is one: whether a backend is there does not matter. */
async function whenAnswering(url: string): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/v1/receipt-keys`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok === true) return;
    await sleep(POLL_MS);
  }
  throw new TidarError('internal', `The edge did not answer within ${START_LIMIT_MS / 1000} s.`);
}

function urlOf({ host, port }: ServeOptions): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`;
  return `http://${addressOf({ host, port })}`;
}

/** Two servers over one state would each know half of every ledger. */
function assertAlone(statePath: string): void {
  const lock = takeLock(lockPathOf(statePath));
  if (lock === undefined) {
    throw new FlagError(`another process serves from ${statePath}; end it first, or give another --state.`);
  }
  lock.release();
}

async function assertFree({ host, port }: ServeOptions): Promise<void> {
  try {
    await tryPort(port, host);
  } catch (error) {
    throw new FlagError(`cannot listen on ${host}, port ${port}: ${(error as Error).message}.`);
  }
}

await runCommand('npm run serve', main);
