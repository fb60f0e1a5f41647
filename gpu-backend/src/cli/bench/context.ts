import { plannedChooser } from '../../decode/planned-engine.ts';
import { Engine } from '../../engine/engine.ts';
import { FIXED_PLANS } from '../../engine/plan-chooser.ts';
import type { PlanChooser } from '../../engine/plan-chooser.ts';
import { AcceptanceTable } from '../../engine/planner/acceptance-table.ts';
import { LatencyModel } from '../../engine/planner/latency.ts';
import type { LatencyPoint } from '../../engine/planner/latency.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { sum } from './command.ts';
import type { Precision, Progress } from './command.ts';
import { SAME_LAW, SINGLE_ROW, tidar, TimedChooser } from './contenders.ts';
import type { EngineContender } from './contenders.ts';
import { median, ratioInterval, repeatUntil, turns } from './interval.ts';
import type { Interval, Repeated } from './interval.ts';
import type { Measured } from './subject.ts';
import { decodeText } from './texts.ts';
import type { TextRun } from './texts.ts';

export interface ContextOptions extends Precision {
  /** Tokens of prompt and answer together. */
  readonly contexts: readonly number[];
  /** A prompt of so many tokens. */
  readonly promptOf: (numTokens: number) => readonly number[];
  readonly maxTokens: number;
  readonly draftLength: number;
  readonly plannerPoints: readonly LatencyPoint[];
  readonly onProgress?: Progress;
}

export interface ContextContender {
  readonly name: string;
  readonly tokensPerSecond: number;
  readonly msPerForward: number;
  readonly tokensPerForward: number;
  readonly rowsPerForward: number;
  readonly shareOutside: number;
}

export interface ContextCell {
  readonly numTokens: number;
  readonly contenders: readonly ContextContender[];
  readonly autoToAr: Interval;
  readonly autoToSingleRow: Interval;
  readonly numRounds: number;
  readonly stoppedBy: Repeated<unknown>['stoppedBy'];
}

type Round = readonly TextRun[];

/** The answer after prompts of many lengths; the prompt itself is computed once and kept. */
export async function benchContexts(
  law: Measured,
  singleRow: Measured,
  options: ContextOptions,
): Promise<ContextCell[]> {
  const cells: ContextCell[] = [];
  for (const numTokens of options.contexts)
    cells.push(await benchContext(law, singleRow, numTokens, options));
  return cells;
}

const PREFILL_TOKENS = 256;
const SALT = 'bench';

function keepingEngine({ session }: Measured, chooser: PlanChooser): Engine {
  return new Engine(session, {
    chooser,
    maxCacheBytes: Infinity,
    prefixCacheBytes: Infinity,
    prefillTokens: PREFILL_TOKENS,
    sharedPrefillTokens: PREFILL_TOKENS,
  });
}

async function benchContext(
  law: Measured,
  singleRow: Measured,
  numTokens: number,
  options: ContextOptions,
): Promise<ContextCell> {
  const { draftLength, plannerPoints, onProgress } = options;
  const knowledge = { latency: new LatencyModel(plannerPoints), acceptance: new AcceptanceTable() };
  const chooser = new TimedChooser(plannedChooser(law.session, knowledge, draftLength));
  const single = new TimedChooser(FIXED_PLANS);
  // Plain decoding of the same law and auto share an engine, and so the kept prompt.
  const shared = { chooser, timed: law.timed, engine: keepingEngine(law, chooser) };
  const alone = { chooser: single, timed: singleRow.timed, engine: keepingEngine(singleRow, single) };
  const contenders: EngineContender[] = [
    { name: SINGLE_ROW, decoder: { type: 'ar' }, ...alone },
    { name: SAME_LAW, decoder: { type: 'ar' }, ...shared },
    { name: 'auto', decoder: tidar('auto', draftLength), ...shared },
  ];
  const prompt = options.promptOf(numTokens - options.maxTokens);
  try {
    onProgress?.(`${numTokens} tokens: prefill`);
    const measure = (round: number): Promise<Round> => measureRound(contenders, prompt, round, options);
    await measure(0); // computes the prompt, warms up
    const { samples, stoppedBy } = await repeatUntil(
      (round) => {
        onProgress?.(`${numTokens} tokens: round ${round + 1}`);
        return measure(round);
      },
      (rounds) => [ratio(rounds, 2, 1)],
      options,
    );
    return {
      numTokens,
      contenders: contenders.map(({ name }, at) => summarize(name, at, samples)),
      autoToAr: ratio(samples, 2, 1),
      autoToSingleRow: ratio(samples, 2, 0),
      numRounds: samples.length,
      stoppedBy,
    };
  } finally {
    shared.engine.dispose();
    alone.engine.dispose();
  }
}

async function measureRound(
  contenders: readonly EngineContender[],
  promptIds: readonly number[],
  round: number,
  { maxTokens }: ContextOptions,
): Promise<Round> {
  const runs: TextRun[] = [];
  for (const turn of turns(contenders.length, round)) {
    const contender = contenders[turn];
    if (contender === undefined) continue;
    const { engine, timed, decoder } = contender;
    const options = {
      promptIds,
      maxTokens,
      decoder,
      sampling: PLAIN_SAMPLING,
      stopTokenIds: [],
      ignoreEos: true,
    };
    runs[turn] = await decodeText(engine, timed, options, SALT);
  }
  const [wanted, got] = [runs[1]?.tokenIds.join(), runs[2]?.tokenIds.join()];
  if (got !== wanted) throw new Error(`auto gave other tokens than plain decoding: ${got}; ${wanted}`);
  return runs;
}

const numDecoded = ({ tokenIds }: TextRun): number => tokenIds.length - 1;

function ratesOf(rounds: readonly Round[], at: number): number[] {
  return rounds.map((round) => {
    const run = round[at];
    return run === undefined ? NaN : (1000 * numDecoded(run)) / run.decodeMs;
  });
}

function ratio(rounds: readonly Round[], over: number, under: number): Interval {
  return ratioInterval(ratesOf(rounds, over), ratesOf(rounds, under));
}

function summarize(name: string, at: number, rounds: readonly Round[]): ContextContender {
  const runs = rounds.flatMap((round) => round[at] ?? []);
  const numPasses = sum(runs, (run) => run.numPasses);
  const decodeMs = sum(runs, (run) => run.decodeMs);
  return {
    name,
    tokensPerSecond: median(ratesOf(rounds, at)),
    msPerForward: median(runs.map((run) => run.decodeMs / run.numPasses)),
    tokensPerForward: sum(runs, numDecoded) / numPasses,
    rowsPerForward: sum(runs, (run) => run.numRows) / numPasses,
    shareOutside: 1 - sum(runs, (run) => run.graphMs) / decodeMs,
  };
}
