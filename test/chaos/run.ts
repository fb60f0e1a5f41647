import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { createKey } from '../support/edge-harness.ts';
import { buildBundle } from '../support/serve-process.ts';
import { makeTinyChatModel } from '../support/tiny-chat-model.ts';
import { type Ask, drawAsks } from './asks.ts';
import type { Verdict } from './facts.ts';
import { oracleOf } from './oracle.ts';
import { drawRound, type RoundPlan } from './plan.ts';
import { Random } from './random.ts';
import { type Question, type RoundResult, runRound } from './round.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

const TRACES = fileURLToPath(new URL('../../.runs/chaos', import.meta.url));

export interface ChaosOptions {
  seed: string;
  numRounds: number;
  /** The first one; with one round it replays that one alone. */
  firstRound: number;
  /** Systems beside each other: most of a round is waiting. */
  numWorlds: number;
  keepsTraces: boolean;
  print: (line: string) => void;
  /** Ends the run early, and every process with it. */
  signal: AbortSignal;
}

export interface ChaosReport extends Verdict {
  numRounds: number;
  numWhole: number;
  numLeft: number;
  /** Connections beyond each client's first. */
  numReturned: number;
  /** Answers that went on as another attempt. */
  numFailovers: number;
  errors: Map<string, number>;
  faults: Map<string, number>;
}

/** Runs the rounds of a seed. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const root = await mkdtemp(join(tmpdir(), 'tidar-chaos-'));
  const model = await makeTinyChatModel();
  const worlds: World[] = [];
  const report = emptyReport();
  try {
    const bundle = join(root, 'bundle');
    buildBundle(bundle);
    for (let index = 0; index < options.numWorlds && !options.signal.aborted; index += 1) {
      worlds.push(await World.start({ folder: join(root, `world-${index}`), modelPath: model.path, bundle }));
    }
    await Promise.race([runIn(worlds, options, report), whenAborted(options.signal)]);
    return report;
  } finally {
    await Promise.all(worlds.map((world) => world.close()));
    await model.remove();
    await rm(root, { recursive: true, force: true });
  }
}

const emptyReport = (): ChaosReport => ({
  ...{ numRounds: 0, numWhole: 0, numLeft: 0, numReturned: 0, numFailovers: 0, errors: new Map() },
  ...{ faults: new Map(), lost: 0, billedTwice: 0, unbilledTokens: 0, ruleLossTokens: 0, problems: [] },
});

/** The run ends at once: every process goes with its world. */
function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
}

async function runIn(worlds: readonly World[], options: ChaosOptions, report: ChaosReport): Promise<void> {
  const { seed, numRounds, firstRound, signal } = options;
  const [first] = worlds;
  if (first === undefined) return;
  const questions = await askAll(first, drawAsks(new Random(seed)));
  let next = firstRound;
  const work = async (world: World): Promise<void> => {
    while (next < firstRound + numRounds && !signal.aborted) {
      const plan = drawRound(seed, next++, questions.length);
      await playRound(world, plan, questions, options, report);
    }
  };
  await Promise.all(worlds.map(work));
}

async function playRound(
  world: World,
  plan: RoundPlan,
  questions: readonly Question[],
  { print, keepsTraces, signal }: ChaosOptions,
  report: ChaosReport,
): Promise<void> {
  const trace = new Trace();
  const startedAt = performance.now();
  let result: RoundResult | undefined;
  try {
    result = await runRound(world, plan, questions, trace.say);
    if (signal.aborted) return;
    add(report, plan, result);
  } catch (error) {
    if (signal.aborted) return;
    report.lost += 1;
    report.problems.push(`round ${plan.round}: ${inspect(error)}`);
    await world.closeClientWires();
  }
  report.numRounds += 1;
  const problems = result?.verdict.problems ?? report.problems.slice(-1);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const faults = plan.faults.map(({ fault }) => fault.kind).join(' ');
  const word = problems.length === 0 ? 'passed' : 'FAILED';
  print(`round ${plan.round} ${word} ${seconds} s  ${plan.clients.length} clients; ${faults || 'no fault'}`);
  for (const problem of problems) print(`  ${problem}`);
  if (problems.length === 0 && !keepsTraces) return;
  const name = `${plan.seed}-${plan.round}`;
  const outputs = {
    edge: world.edge.process?.output.slice(-20_000) ?? '',
    ...Object.fromEntries(
      world.backends.map((site) => [`backend ${site.name}`, site.process?.output.slice(-20_000) ?? '']),
    ),
  };
  print(
    `  trace: ${trace.write(TRACES, name, { problems, plan, facts: result?.facts ?? null, ...outputs })}`,
  );
  print(`  again: npm run chaos -- --seed ${plan.seed} --first ${plan.round} --rounds 1`);
}

const count = (counts: Map<string, number>, name: string): void =>
  void counts.set(name, (counts.get(name) ?? 0) + 1);

function add(report: ChaosReport, plan: RoundPlan, { verdict, facts }: RoundResult): void {
  report.lost += verdict.lost;
  report.billedTwice += verdict.billedTwice;
  report.unbilledTokens += verdict.unbilledTokens;
  report.ruleLossTokens += verdict.ruleLossTokens;
  report.problems.push(...verdict.problems);
  for (const { fault } of plan.faults) count(report.faults, fault.kind);
  report.numFailovers += facts.bills.filter(({ row }) => row.num_attempts > 1).length;
  for (const { outcome, numConnections } of facts.stories) {
    report.numReturned += Math.max(0, numConnections - 1);
    if (outcome.kind === 'whole') report.numWhole += 1;
    if (outcome.kind === 'left') report.numLeft += 1;
    if (outcome.kind === 'error') count(report.errors, outcome.code);
  }
}

/** Every ask once, token by token, with nothing in its way. */
async function askAll(world: World, asks: readonly Ask[]): Promise<Question[]> {
  const apiKey = await createKey(world.edge.url, { requests_per_minute: 100_000 });
  const questions: Question[] = [];
  for (const ask of asks) questions.push({ ask, oracle: await oracleOf(world.edge.url, ask, apiKey) });
  return questions;
}
