import { sum } from '../cli/bench/command.ts';
import type { Decoder } from '../decode/decoder.ts';
import type { Abilities } from './abilities.ts';
import type { Generated, ResultLine, ResultsFile, Scored } from './results-file.ts';
import { AR_ONLY_ROW, AR_ROW, HEADLINE_ROW, MODEL_KEYS } from './rows.ts';
import type { Row } from './rows.ts';
import { isGenerative, numItems } from './run.ts';
import type { Plan } from './run.ts';
import { bootstrap, mean, meanDifference, meanHalfWidth, wilson } from './statistics.ts';
import type { Estimate } from './statistics.ts';
import type { Task } from './tasks/load.ts';

/** A row's figures on one task. */
export interface TaskFigures {
  readonly numItems: number;
  readonly numCutShort: number;
  /** Absent where answers are not judged. */
  readonly numRight?: number;
  /** With Wilson's interval. */
  readonly score?: Estimate;
  /** Tokens ÷ forward passes, both after prefill, of all items together; with a bootstrap interval, as what follows. */
  readonly tokensPerForward: Estimate;
  readonly tokensPerSecond: number;
  /** Tokens a second ÷ those of plain decoding on the same items. */
  readonly speedup?: Estimate;
  /** A grammar was asked for, and the decoder takes none. */
  readonly isFree: boolean;
}

/** Means over the generative tasks, each task counting alike. */
export interface MeanFigures {
  readonly numItems: number;
  readonly score: number;
  readonly scoreHalfWidth: number;
  readonly tokensPerForward: Estimate;
  readonly tokensPerSecond: number;
  readonly speedup?: Estimate;
}

export interface RowFigures {
  readonly id: string;
  readonly label: string;
  readonly family: string;
  readonly model: string;
  readonly decoder: Decoder;
  /** Why the row was not run, where no task was. */
  readonly notRun?: string;
  /** By task's name, of those that were run. */
  readonly tasks: Readonly<Record<string, TaskFigures>>;
  /** Absent where a generative task was not run. */
  readonly mean?: MeanFigures;
}

/** What a model says of a task in causal passes. */
export interface LikelihoodFigures {
  readonly model: string;
  readonly task: string;
  readonly numItems: number;
  readonly byByte?: Estimate;
  readonly byToken?: Estimate;
  readonly bitsPerByte?: Estimate;
}

export interface Figures {
  /** Of the items that all rows answered. */
  readonly rows: readonly RowFigures[];
  readonly headline: Headline;
  readonly likelihoods: readonly LikelihoodFigures[];
}

/** Of all items that these rows answered. */
export interface Headline {
  readonly tidar?: MeanFigures;
  readonly arOnly?: MeanFigures;
  /** TiDAR's score − the AR-only model's, item by item. */
  readonly difference?: Estimate;
}

/** An item by a row, beside plain decoding of the same item. */
interface Pair {
  readonly own: Generated;
  readonly ar: Generated | undefined;
}

export function makeFigures(plan: Plan, abilities: Abilities, results: ResultsFile): Figures {
  return {
    rows: plan.rows.map((row) => rowFigures(row, plan, abilities, results)),
    headline: headline(plan, results),
    likelihoods: plan.tasks.flatMap((task) => likelihoods(task, plan, results)),
  };
}

function rowFigures(row: Row, plan: Plan, abilities: Abilities, results: ResultsFile): RowFigures {
  const { id, label, family, model, decoder } = row;
  const own = plan.tasks.filter(({ spec }) => spec.type !== 'choices');
  const pairs = new Map(own.map((task) => [task, pairsOf(row.id, task, plan.limits.table, results)]));
  const run = own.filter((task) => (pairs.get(task)?.length ?? 0) > 0);
  const tasks = run.map((task) => {
    const ability = abilities.of(row, task);
    const isFree = task.spec.type === 'json' && ability.type === 'runs' && !ability.usesGrammar;
    return [task.spec.name, taskFigures(pairs.get(task) ?? [], isFree)] as const;
  });
  const refusals = own.map((task) => abilities.of(row, task));
  const reason = refusals.find((ability) => ability.type === 'refused')?.reason ?? 'no items';
  const judged = plan.tasks.filter(isGenerative);
  const isWhole = judged.length > 0 && judged.every((task) => run.includes(task));
  return {
    ...{ id, label, family, model, decoder },
    ...(run.length === 0 ? { notRun: reason } : {}),
    tasks: Object.fromEntries(tasks),
    ...(isWhole ? { mean: meanFigures(judged.map((task) => pairs.get(task) ?? [])) } : {}),
  };
}

function pairsOf(row: string, task: Task, limit: number, results: ResultsFile): Pair[] {
  return linesOf(task, limit, results).flatMap(({ answers }) => {
    const own = answers[row];
    return own === undefined ? [] : [{ own, ar: answers[AR_ROW] }];
  });
}

function linesOf(task: Task, limit: number, results: ResultsFile): ResultLine[] {
  const indexes = Array.from({ length: numItems(task, limit) }, (_, index) => index);
  return indexes.flatMap((index) => results.get(task.spec.name, index) ?? []);
}

function taskFigures(pairs: readonly Pair[], isFree: boolean): TaskFigures {
  const numRight = countRight(pairs);
  const isJudged = pairs.every(({ own }) => own.isRight !== undefined);
  return {
    numItems: pairs.length,
    numCutShort: pairs.filter(({ own }) => own.isCutShort).length,
    ...(isJudged ? { numRight, score: wilson(numRight, pairs.length) } : {}),
    ...speeds([pairs]),
    isFree,
  };
}

function meanFigures(tasks: readonly (readonly Pair[])[]): MeanFigures {
  const counts = tasks.map((pairs) => ({ numRight: countRight(pairs), numTried: pairs.length }));
  return {
    numItems: counts.reduce((sum, { numTried }) => sum + numTried, 0),
    score: mean(counts.map(({ numRight, numTried }) => numRight / numTried)),
    scoreHalfWidth: meanHalfWidth(counts),
    ...speeds(tasks),
  };
}

type Speeds = Pick<MeanFigures, 'tokensPerForward' | 'tokensPerSecond' | 'speedup'>;

function speeds(tasks: readonly (readonly Pair[])[]): Speeds {
  const hasAr = tasks.every((pairs) => pairs.every(({ ar }) => ar !== undefined));
  const overTasks = (figure: (pairs: readonly Pair[]) => number) => (all: typeof tasks) =>
    mean(all.map(figure).filter((value) => !Number.isNaN(value)));
  return {
    tokensPerForward: bootstrap(
      tasks,
      overTasks((pairs) => sum(pairs, ({ own }) => own.numDecoded) / sum(pairs, ({ own }) => own.numPasses)),
    ),
    tokensPerSecond: overTasks((pairs) => rate(pairs, ({ own }) => own))(tasks),
    ...(hasAr
      ? {
          speedup: bootstrap(
            tasks,
            overTasks((pairs) => rate(pairs, ({ own }) => own) / rate(pairs, ({ ar }) => ar)),
          ),
        }
      : {}),
  };
}

/** Tokens a second after prefill. */
function rate(pairs: readonly Pair[], of: (pair: Pair) => Generated | undefined): number {
  const tokens = sum(pairs, (pair) => of(pair)?.numDecoded ?? 0);
  return (1000 * tokens) / sum(pairs, (pair) => of(pair)?.milliseconds ?? 0);
}

function countRight(pairs: readonly Pair[]): number {
  return pairs.filter(({ own }) => own.isRight === true).length;
}

function headline({ tasks, limits }: Plan, results: ResultsFile): Headline {
  const judged = tasks.filter(isGenerative);
  const meanOf = (row: string): MeanFigures | undefined => {
    const pairs = judged.map((task) => pairsOf(row, task, limits.headline, results));
    const isWhole = pairs.length > 0 && pairs.every((each) => each.length > 0);
    return isWhole ? meanFigures(pairs) : undefined;
  };
  const [tidar, arOnly] = [meanOf(HEADLINE_ROW), meanOf(AR_ONLY_ROW)];
  const differences = judged.map((task) =>
    linesOf(task, limits.headline, results).flatMap(({ answers }) => {
      const [own, other] = [answers[HEADLINE_ROW], answers[AR_ONLY_ROW]];
      return own === undefined || other === undefined ? [] : [Number(own.isRight) - Number(other.isRight)];
    }),
  );
  return {
    ...(tidar === undefined ? {} : { tidar }),
    ...(arOnly === undefined ? {} : { arOnly }),
    ...(tidar === undefined || arOnly === undefined ? {} : { difference: meanDifference(differences) }),
  };
}

function likelihoods(task: Task, plan: Plan, results: ResultsFile): LikelihoodFigures[] {
  const lines = linesOf(task, plan.limits.headline, results);
  return MODEL_KEYS.flatMap((model): LikelihoodFigures[] => {
    const scored = lines.flatMap(({ scores }) => scores[model] ?? []);
    if (scored.length === 0) return [];
    return [{ model, task: task.spec.name, numItems: scored.length, ...likelihoodOf(scored) }];
  });
}

function likelihoodOf(
  scored: readonly Scored[],
): Pick<LikelihoodFigures, 'byByte' | 'byToken' | 'bitsPerByte'> {
  const texts = scored.filter((one) => 'bits' in one);
  if (texts.length > 0) {
    const bitsPerByte = ([items = []]: readonly (readonly (typeof texts)[number][])[]): number =>
      sum(items, ({ bits }) => bits) / sum(items, ({ numBytes }) => numBytes);
    return { bitsPerByte: bootstrap([texts], bitsPerByte) };
  }
  const chosen = scored.filter((one) => 'isRightByByte' in one);
  const share = (isRight: (one: (typeof chosen)[number]) => boolean): Estimate =>
    wilson(chosen.filter(isRight).length, chosen.length);
  return { byByte: share((one) => one.isRightByByte), byToken: share((one) => one.isRightByToken) };
}
