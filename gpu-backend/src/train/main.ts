import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { TidarError } from '@tidar/shared/errors.ts';
import { FlagError, numberFlag, stringFlag, wholeNumber } from '../cli/flags.ts';
import { ALLOCATOR_ENVIRONMENT } from '../device/allocator-environment.ts';
import { explain, HELP, measure, numThreadsOf, readFlags } from './command-flags.ts';
import { assertData, encode, runFolder, startingPoint } from './command-start.ts';
import { trainRun } from './run.ts';

async function main(): Promise<number> {
  const flags = readFlags(process.argv.slice(2));
  if (flags.values['measure'] === true && flags.values['help'] !== true) {
    console.log(await measure(flags));
    return 0;
  }
  const texts = stringFlag(flags, 'encode');
  if (texts !== undefined) {
    console.log(encode(flags, texts));
    return 0;
  }
  const run = stringFlag(flags, 'run');
  if (flags.values['help'] === true || run === undefined) {
    console.log(HELP);
    return run === undefined && flags.values['help'] !== true ? 2 : 0;
  }
  const dataFolder = stringFlag(flags, 'data') ?? path.join('.runs', 'data');
  assertData(dataFolder);
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort());
  const options = {
    dataFolder,
    runFolder: runFolder(run),
    numThreads: numThreadsOf(flags),
    evaluateEvery: numberFlag(flags, 'evaluate-every', 200, wholeNumber(1)),
    numEvaluationBatches: numberFlag(flags, 'evaluate-batches', 4, wholeNumber(1)),
    checkpointEvery: numberFlag(flags, 'checkpoint-every', 200, wholeNumber(1)),
  };
  const start = startingPoint(flags, run, dataFolder);
  if (start.step === start.settings.numSteps)
    console.log(`The run ${run} has done all its ${start.step} steps; ${options.runFolder} holds it.`);
  await trainRun(start, options, abort.signal);
  return 0;
}

/** glibc asks for pages of 2 MiB: a step walks over all weights and moments, and is 2–5% faster with few pages. */
const HUGE_PAGES = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/** Starts this file again with the allocator's settings, which only count when a process starts. */
function respawn(): void {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...ALLOCATOR_ENVIRONMENT, ...HUGE_PAGES, ...process.env, TIDAR_TRAIN_CHILD: '1' },
  });
  // Ctrl-C reaches the child through the terminal; a signal sent to this process alone is passed on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code) => process.exit(code ?? 1));
}

if (process.env['TIDAR_TRAIN_CHILD'] === undefined) respawn();
else {
  try {
    process.exitCode = await main();
  } catch (error) {
    const isCallersFault = error instanceof FlagError || error instanceof z.ZodError;
    const isExpected = error instanceof TidarError || error instanceof RangeError || isCallersFault;
    const told = error instanceof z.ZodError ? explain(error) : isExpected ? error.message : error;
    console.error(...(isExpected ? [`train: ${String(told)}`] : [told]));
    process.exitCode = isCallersFault ? 2 : 1;
  }
}
