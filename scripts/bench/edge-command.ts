import { endProgress, showProgress, table } from '../../gpu-backend/src/cli/bench/command.ts';
import { numberFlag, wholeNumber } from '../../gpu-backend/src/cli/flags.ts';
import { benchEdge, type EdgeBenchResult } from '../../test/load/edge-bench.ts';
import type { Quantiles } from '../../test/load/quantiles.ts';
import { System } from '../../test/load/system.ts';
import { COMMON_HELP, flagsOf, machine, tell } from './common.ts';

const HELP = `Time to the first token through the edge against the backend asked directly, in turns, one request at a time.

  npm run bench -- edge [flags]

  --pairs N        pairs of requests (2000)
  --warm-up N      pairs before those that count (300)
  --seed N         what the questions differ by (1)
${COMMON_HELP}

The real edge in workerd, as npm run serve runs it, and the real backend with the demo model, on this machine. What the
edge adds is the difference within each pair, and its quantiles are of those differences. The last line is: edge adds p50 X ms p99 Y ms`;

export async function edgeCommand(args: readonly string[]): Promise<boolean> {
  const flags = flagsOf(args, ['pairs', 'warm-up', 'seed'], HELP);
  if (flags === undefined) return true;
  const options = {
    numPairs: numberFlag(flags, 'pairs', 2000, wholeNumber(1, 1_000_000)),
    numWarmUps: numberFlag(flags, 'warm-up', 300, wholeNumber(0, 1_000_000)),
    seed: numberFlag(flags, 'seed', 1, wholeNumber(0)),
    onProgress: showProgress,
  };
  const where = machine();
  const system = await System.start();
  try {
    const result = await benchEdge(system, options);
    endProgress();
    const last = lastLine(result);
    tell(flags, [where, '', ...report(result), '', last], { machine: where, ...result, lastLine: last });
    return true;
  } finally {
    await system.stop();
  }
}

const ms = (value: number): string => value.toFixed(2);

function report({ numPairs, direct, edge, added }: EdgeBenchResult): string[] {
  const row = (name: string, { p50, p90, p99, most }: Quantiles): string[] => [
    name,
    ...[p50, p90, p99, most].map(ms),
  ];
  return table(
    [`ms to the first token, ${numPairs} pairs`, 'p50', 'p90', 'p99', 'most'],
    [row('the backend directly', direct), row('through the edge', edge), row('the edge adds', added)],
  );
}

const lastLine = ({ added }: EdgeBenchResult): string =>
  `edge adds p50 ${ms(added.p50)} ms p99 ${ms(added.p99)} ms`;
