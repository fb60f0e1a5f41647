/** `npm run chaos`: rounds of faults over the whole system, and what must be so after each. */
import {
  FlagError,
  numberFlag,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
  assertNoStray,
} from '../gpu-backend/src/cli/flags.ts';
import { type ChaosReport, runChaos } from '../test/chaos/run.ts';

const HELP = `Kills, cuts, delays and repeats whatever it can of the real system, and checks every answer and every bill.

  npm run chaos -- [flags]

  --rounds <n>     rounds, 50 by default
  --seed <text>    what the rounds are drawn from; by default the present second
  --first <n>      the first round, 0 by default: with --rounds 1 it is that one alone once more
  --worlds <n>     systems beside each other, 2 by default
  --trace          keeps the events of every round in .runs/chaos, not only of those that fail
  --help           this text`;

const COUNT = wholeNumber(1, 1_000_000);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    ...{ rounds: text, seed: text, first: text, worlds: text },
    ...{ trace: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (flags.values['help'] === true) return say(HELP);
  assertNoStray(flags);
  const numRounds = numberFlag(flags, 'rounds', 50, COUNT);
  const seed = stringFlag(flags, 'seed') ?? String(Math.floor(Date.now() / 1000));
  if (!/^[\w-]+$/.test(seed)) throw new FlagError('--seed takes letters, digits and dashes.');
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort());
  // Whatever goes wrong in here: the processes that it has started end.
  process.on('uncaughtException', (error) => {
    say(String(error.stack));
    controller.abort();
  });
  say(`seed ${seed}`);
  const report = await runChaos({
    seed,
    numRounds,
    firstRound: numberFlag(flags, 'first', 0, wholeNumber(0, 1_000_000)),
    numWorlds: numberFlag(flags, 'worlds', 2, wholeNumber(1, 16)),
    keepsTraces: flags.values['trace'] === true,
    print: say,
    signal: controller.signal,
  });
  tell(report);
  const isWhole = report.numRounds === numRounds && report.problems.length === 0;
  // Clients of a round that was broken off may still wait for something.
  process.exit(isWhole ? 0 : 1);
}

function tell({ numRounds, lost, billedTwice, unbilledTokens, ruleLossTokens, ...more }: ChaosReport): void {
  const errors = [...more.errors].map(([code, count]) => `${count} ${code}`).join(', ');
  say(`clients: ${more.numWhole} whole texts, ${more.numLeft} left, clear errors: ${errors || 'none'}`);
  const faults = [...more.faults].map(([kind, count]) => `${count} ${kind}`).join(', ');
  say(`faults: ${faults || 'none'}`);
  say(`${more.numFailovers} answers went on as another attempt, clients came back ${more.numReturned} times`);
  if (more.problems.length > 0) say(`${more.problems.length} laws were broken: see above`);
  say(
    `${numRounds} rounds, ${lost} lost, ${billedTwice} billed twice, ${unbilledTokens} unbilled, rule loss ${ruleLossTokens} tokens`,
  );
}

await runCommand('npm run chaos', main);
