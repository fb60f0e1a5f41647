/** `npm run soak`: mixed load on the whole system for a while; then memory, bills and engine are looked at. */
import { endProgress, showProgress, table } from '../gpu-backend/src/cli/bench/command.ts';
import { FlagError, numberFlag, runCommand, stringFlag, wholeNumber } from '../gpu-backend/src/cli/flags.ts';
import { soak, SOAK_SYSTEM, type SoakResult } from '../test/load/soak.ts';
import { System } from '../test/load/system.ts';
import { COMMON_HELP, flagsOf, machine, tell } from './bench/common.ts';

const HELP = `Mixed load on the real edge and the real backend with the demo model: answers, streams, clients that leave, bad
requests, limits, repeats. Memory is measured all the time; at the end every bill is held against what clients saw.

  npm run soak -- [flags]

  --minutes N      how long (30)
  --clients N      at once (6)
  --seed TEXT      what the calls are drawn from (1)
${COMMON_HELP}

Memory is a straight line through the last two thirds of the samples; it may rise by 10%. The last line is: memory +X%, integrity clean`;

const MOST_GROWTH = 0.1;
const MINUTES = { expected: 'minutes above 0', isWanted: (value: number) => value > 0 };

async function main(): Promise<void> {
  const flags = flagsOf(process.argv.slice(2), ['minutes', 'clients', 'seed'], HELP);
  if (flags === undefined) return;
  const seed = stringFlag(flags, 'seed') ?? '1';
  if (!/^[\w-]+$/.test(seed)) throw new FlagError('--seed takes letters, digits and dashes.');
  const options = {
    durationMs: 60_000 * numberFlag(flags, 'minutes', 30, MINUTES),
    numClients: numberFlag(flags, 'clients', 6, wholeNumber(1, 1000)),
    seed,
    onProgress: showProgress,
  };
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort());
  const where = machine();
  const system = await System.start(SOAK_SYSTEM);
  const result = await soak(system, { ...options, signal: controller.signal }).catch(
    async (error: unknown) => {
      await system.stop();
      throw error;
    },
  );
  endProgress();
  const codes = await system.stop();
  const problems = [...result.problems];
  if (codes.edge !== 0 || codes.backend !== 0) problems.push(`exit codes: ${JSON.stringify(codes)}`);
  const last = lastLine(result, problems);
  tell(flags, [where, '', ...report(result, problems), '', last], {
    machine: where,
    ...result,
    problems,
    lastLine: last,
  });
  process.exit(problems.length === 0 && growthOf(result) <= MOST_GROWTH ? 0 : 1);
}

const growthOf = ({ edge, backend }: SoakResult): number => Math.max(edge.growth, backend.growth);

function lastLine(result: SoakResult, problems: readonly string[]): string {
  const percent = (100 * growthOf(result)).toFixed(1);
  const integrity = problems.length === 0 ? 'clean' : `broken: ${problems.length} laws`;
  return `memory ${percent.startsWith('-') ? '' : '+'}${percent}%, integrity ${integrity}`;
}

function report({ numCalls, calls, edge, backend }: SoakResult, problems: readonly string[]): string[] {
  return [
    `${numCalls} calls: ${Object.entries(calls)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
    '',
    ...table(
      ['MiB', 'at first', 'at last', 'growth'],
      Object.entries({ edge, backend }).map(([name, { first, last, growth }]) => [
        name,
        first.toFixed(1),
        last.toFixed(1),
        `${(100 * growth).toFixed(1)}%`,
      ]),
    ),
    '',
    ...Object.entries({ edge, backend }).map(
      ([name, { tenths }]) =>
        `${name} by tenths of the time, MiB: ${tenths.map((value) => value.toFixed(0)).join(' ')}`,
    ),
    ...problems.slice(0, 50),
  ];
}

await runCommand('npm run soak', main);
