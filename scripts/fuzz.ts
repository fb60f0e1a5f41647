/** `npm run fuzz`: bad input of every kind against the real edge and a real backend, and what must come of it. */
import {
  assertNoStray,
  FlagError,
  numberFlag,
  oneOf,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
} from '../gpu-backend/src/cli/flags.ts';
import { type FuzzReport, KINDS, runFuzz } from '../test/fuzz/run.ts';

const KIND_NAMES = KINDS.map(({ name }) => name);

const HELP = `Sends bad input of every kind to the real edge and a real backend, and judges every answer.

  npm run fuzz -- [flags]

  --cases <n>      cases, 1000 by default
  --seed <text>    what they are drawn from; by default the present second
  --case <n>       that one alone once more
  --kind <name>    only cases of this kind: ${KIND_NAMES.join(', ')}
  --no-slow        leaves out the cases that wait for a time limit
  --help           this text`;

const COUNT = wholeNumber(1, 10_000_000);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    ...{ cases: text, seed: text, case: text, kind: text },
    ...{ 'no-slow': { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (flags.values['help'] === true) return say(HELP);
  assertNoStray(flags);
  const only = numberFlag(flags, 'case', undefined, wholeNumber(0, 10_000_000));
  const seed = stringFlag(flags, 'seed') ?? String(Math.floor(Date.now() / 1000));
  if (!/^[\w-]+$/.test(seed)) throw new FlagError('--seed takes letters, digits and dashes.');
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort());
  say(`seed ${seed}`);
  const report = await runFuzz({
    seed,
    firstCase: only ?? 0,
    numCases: only === undefined ? numberFlag(flags, 'cases', 1000, COUNT) : 1,
    print: say,
    signal: controller.signal,
    kind: oneOf(flags, 'kind', KIND_NAMES),
    hasSlow: flags.values['no-slow'] !== true,
  });
  tell(report);
  const numProblems = report.numUnclear + report.numCrashed + report.problems.length;
  process.exit(numProblems === 0 && report.memory.every(({ isFlat }) => isFlat) ? 0 : 1);
}

function tell({ byKind, memory, problems, numCases, numUnclear, numCrashed }: FuzzReport): void {
  const kinds = [...byKind].toSorted(([, one], [, other]) => other - one);
  say(`kinds: ${kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  for (const { name, tenthsMib, isFlat } of memory) {
    const tenths = tenthsMib.map(Math.round).join(' ');
    say(`memory of the ${name}, MiB by tenths of the run: ${tenths}: ${isFlat ? 'flat' : 'NOT FLAT'}`);
  }
  for (const problem of problems) say(`left behind: ${problem}`);
  if (problems.length === 0) say('left behind: nothing, every request has its bill');
  say(`${numCases} cases, ${numUnclear} unclear, ${numCrashed} crashed`);
}

await runCommand('npm run fuzz', main);
