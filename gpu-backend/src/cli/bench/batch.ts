import type { Decoder } from '../../decode/decoder.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import type { LatencyPoint } from '../../engine/planner/latency.ts';
import { sum } from './command.ts';
import type { Precision, Progress } from './command.ts';
import {
  autoContender,
  fixedContender,
  PLANNER_WARM_UP_PASSES,
  SAME_LAW,
  SINGLE_ROW,
  WARM_UP_SHARE,
} from './contenders.ts';
import type { EngineContender } from './contenders.ts';
import { median, ratioInterval, repeatUntil, turns } from './interval.ts';
import type { Interval, Repeated } from './interval.ts';
import { promptsOfRound } from './rounds.ts';
import type { Prompts } from './rounds.ts';
import type { Measured, TextKind } from './subject.ts';
import { decodeSteadily } from './texts.ts';
import type { SteadyRun } from './texts.ts';

export interface BatchOptions extends Precision {
  readonly prompts: Prompts;
  readonly batches: readonly number[];
  readonly maxTokens: number;
  /** The most that auto may draft. */
  readonly draftLength: number;
  readonly plannerPoints: readonly LatencyPoint[];
  readonly onProgress?: Progress;
}

/** The devices that take part: the same text, with single rows and without. */
export interface BatchDevices {
  readonly law: Measured;
  readonly singleRow: Measured;
}

export interface BatchContender {
  readonly name: string;
  /** Of all sequences together; median over rounds. */
  readonly tokensPerSecond: number;
  /** The same of passes in which no prompt joined. */
  readonly tokensPerSecondPure: number;
  /** Of one sequence. */
  readonly tokensPerForward: number;
  /** Of all sequences. */
  readonly rowsPerForward: number;
  readonly msPerForward: number;
  readonly shareOutside: number;
  readonly planningUsPerForward: number;
}

/** A number of sequences on one kind of text. */
export interface BatchCell {
  readonly kind: TextKind;
  readonly batch: number;
  readonly contenders: readonly BatchContender[];
  readonly autoToAr: Interval;
  readonly autoToSingleRow: Interval;
  readonly numRounds: number;
  readonly stoppedBy: Repeated<unknown>['stoppedBy'];
}

/** By contender. */
type Round = readonly (SteadyRun & { readonly planningMs: number })[];

/** Texts that each sequence of a batch decodes in a round; a single sequence has more. */
const TEXTS_PER_SEQUENCE = 3;
const LEAST_TEXTS = 8;

/** Every size of batch on one kind of text; auto learns it as it goes. Throws if tokens differ that must not. */
export async function benchBatches(
  kind: TextKind,
  devices: BatchDevices,
  options: BatchOptions,
): Promise<BatchCell[]> {
  const { law, singleRow } = devices;
  const ar: Decoder = { type: 'ar' };
  const contenders = [
    fixedContender(SINGLE_ROW, singleRow, ar),
    fixedContender(SAME_LAW, law, ar),
    autoContender(law, options.plannerPoints, options.draftLength),
  ];
  try {
    const cells: BatchCell[] = [];
    for (const batch of options.batches) cells.push(await benchCell(kind, batch, contenders, options));
    return cells;
  } finally {
    for (const { engine } of contenders) engine.dispose();
  }
}

async function benchCell(
  kind: TextKind,
  batch: number,
  contenders: readonly EngineContender[],
  options: BatchOptions,
): Promise<BatchCell> {
  const measure = (round: number): Promise<Round> => measureRound(contenders, batch, round, options);
  const ratio = (rounds: readonly Round[], over: number, under: number): Interval =>
    ratioInterval(ratesOf(rounds, over), ratesOf(rounds, under));
  const warmUpEndsAt = performance.now() + WARM_UP_SHARE * options.timeLimitMs;
  let numPasses = 0;
  do {
    options.onProgress?.(`${kind} text, ${batch} sequence(s), warming up`);
    const round = await measure(0);
    numPasses += round[2]?.numAllPasses ?? 0;
  } while (numPasses < PLANNER_WARM_UP_PASSES && performance.now() < warmUpEndsAt);
  const { samples, stoppedBy } = await repeatUntil(
    (round) => {
      options.onProgress?.(`${kind} text, ${batch} sequence(s), round ${round + 1}`);
      return measure(round);
    },
    (rounds) => [ratio(rounds, 2, 1)],
    options,
  );
  return {
    kind,
    batch,
    contenders: contenders.map(({ name }, at) => summarize(name, at, samples)),
    autoToAr: ratio(samples, 2, 1),
    autoToSingleRow: ratio(samples, 2, 0),
    numRounds: samples.length,
    stoppedBy,
  };
}

async function measureRound(
  contenders: readonly EngineContender[],
  batch: number,
  round: number,
  { prompts, maxTokens }: BatchOptions,
): Promise<Round> {
  const some = promptsOfRound(prompts, Math.max(LEAST_TEXTS, TEXTS_PER_SEQUENCE * batch), round);
  const runs: Round[number][] = [];
  for (const turn of turns(contenders.length, round)) {
    const contender = contenders[turn];
    if (contender === undefined) continue;
    const { engine, timed, decoder, chooser } = contender;
    const options = { maxTokens, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
    const planningBefore = chooser.milliseconds;
    const run = await decodeSteadily(engine, timed, some, batch, options);
    runs[turn] = { ...run, planningMs: chooser.milliseconds - planningBefore };
    engine.checkIntegrity();
  }
  assertSameTexts(runs[1], runs[2]);
  return runs;
}

/** Texts end where the steady part does, each decoder's elsewhere. */
function assertSameTexts(plain: SteadyRun | undefined, auto: SteadyRun | undefined): void {
  plain?.texts.forEach((text, at) => {
    const other = auto?.texts[at] ?? [];
    const length = Math.min(text.length, other.length);
    const [wanted, got] = [text.slice(0, length).join(), other.slice(0, length).join()];
    if (got !== wanted) throw new Error(`auto gave other tokens than plain decoding: ${got}; ${wanted}`);
  });
}

function ratesOf(rounds: readonly Round[], at: number): number[] {
  return rounds.map((round) => (1000 * (round[at]?.numTokens ?? NaN)) / (round[at]?.ms ?? NaN));
}

function summarize(name: string, at: number, rounds: readonly Round[]): BatchContender {
  const runs = rounds.flatMap((round) => round[at] ?? []);
  const numPasses = sum(runs, (run) => run.numPasses);
  const ms = sum(runs, (run) => run.ms);
  return {
    name,
    tokensPerSecond: median(ratesOf(rounds, at)),
    tokensPerSecondPure: (1000 * sum(runs, (run) => run.pure.numTokens)) / sum(runs, (run) => run.pure.ms),
    tokensPerForward: sum(runs, (run) => run.numDecodeTokens) / sum(runs, (run) => run.numTurns),
    rowsPerForward: sum(runs, (run) => run.numRows) / numPasses,
    msPerForward: ms / numPasses,
    shareOutside: 1 - sum(runs, (run) => run.graphMs) / ms,
    planningUsPerForward: (1000 * sum(runs, (run) => run.planningMs)) / sum(runs, (run) => run.numAllPasses),
  };
}
