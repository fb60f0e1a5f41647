import { endProgress, showProgress, table } from '../../gpu-backend/src/cli/bench/command.ts';
import { numberFlag, wholeNumber } from '../../gpu-backend/src/cli/flags.ts';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import { benchLoad, type LoadResult } from '../../test/load/load-bench.ts';
import type { Quantiles } from '../../test/load/quantiles.ts';
import { System } from '../../test/load/system.ts';
import { COMMON_HELP, flagsOf, machine, tell } from './common.ts';

const HELP = `Holds many streams at once through the edge, checks each text and each bill, and lets calls be refused.

  npm run bench -- load [flags]

  --streams N      streams at once (500)
  --tokens N       of each (120)
  --interval MS    between two tokens of a stream (250)
  --keys N         that the streams go by (8)
  --seconds N      of refused calls, for each of two kinds (5)
${COMMON_HELP}

The real edge in workerd and the real backend, journal and all, around an engine that makes up its tokens by the clock:
no model runs. The last line is: N streams, 0 lost`;

/** Every stream renews its slice on the way. */
const SLICE_TOKENS = 64;
const RAMP_SHARE = 0.2;

export async function loadCommand(args: readonly string[]): Promise<boolean> {
  const flags = flagsOf(args, ['streams', 'tokens', 'interval', 'keys', 'seconds'], HELP);
  if (flags === undefined) return true;
  const numStreams = numberFlag(flags, 'streams', 500, wholeNumber(1, 10_000));
  const numTokens = numberFlag(flags, 'tokens', 120, wholeNumber(1, 900));
  const paceMs = numberFlag(flags, 'interval', 250, wholeNumber(5, 60_000));
  const { tokenizer } = loadModelFolder(DEMO_MODEL);
  if (tokenizer === undefined) throw new Error('the demo model has lost its tokenizer');
  const where = machine();
  const system = await System.start({
    paceMs,
    backendArgs: ['--max-concurrent', String(numStreams), '--max-waiting', String(numStreams)],
    vars: { SLICE_TOKENS: String(SLICE_TOKENS) },
  });
  try {
    const result = await benchLoad(system, paceMs, {
      numStreams,
      numTokens,
      tokenizer,
      numKeys: numberFlag(flags, 'keys', 8, wholeNumber(1, 1000)),
      rampMs: RAMP_SHARE * numTokens * paceMs,
      refusedMs: 1000 * numberFlag(flags, 'seconds', 5, wholeNumber(0, 3600)),
      onProgress: showProgress,
    });
    endProgress();
    const last = `${result.numStreams} streams, ${result.lost.length} lost`;
    tell(flags, [where, '', ...report(result), '', last], { machine: where, ...result, lastLine: last });
    return result.lost.length === 0;
  } finally {
    await system.stop();
  }
}

function report({ firstToken, late, refused, memory, ...result }: LoadResult): string[] {
  const row = (name: string, { p50, p90, p99, most }: Quantiles): string[] => [
    name,
    ...[p50, p90, p99, most].map((value) => value.toFixed(0)),
  ];
  const { before, atMost, after } = memory;
  return [
    ...table(
      ['ms', 'p50', 'p90', 'p99', 'most'],
      [row('to the first token', firstToken), row('late at the end', late)],
    ),
    '',
    ...table(
      ['MiB', 'before', 'at most', 'after'],
      (['edge', 'backend'] as const).map((name) => [
        name,
        ...[before, atMost, after].map((one) => one[name].toFixed(0)),
      ]),
    ),
    '',
    `${result.mostAtOnce} streams at once, ${result.tokensPerSecond.toFixed(0)} tokens/s`,
    `refused calls/s: ${refused.wrongKey.toFixed(0)} with a wrong key, ${refused.overLimit.toFixed(0)} over a limit`,
    ...result.lost.slice(0, 20),
  ];
}
