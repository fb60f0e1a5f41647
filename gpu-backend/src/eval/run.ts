import { TidarError } from '@tidar/shared/errors.ts';
import { turns } from '../cli/bench/interval.ts';
import type { Abilities } from './abilities.ts';
import { decodeItem } from './decode-item.ts';
import type { Decoded } from './decode-item.ts';
import { choose, measureText } from './likelihood.ts';
import { modelOf } from './models.ts';
import type { Models, OpenedModel } from './models.ts';
import { questionOf } from './question.ts';
import type { Generated, ResultLine, ResultsFile, Scored } from './results-file.ts';
import { AR_ROW, isLossless, MODEL_KEYS } from './rows.ts';
import type { Row } from './rows.ts';
import type { Item } from './tasks/item.ts';
import type { Task } from './tasks/load.ts';

/** Items of each task at most, the first ones. */
export interface Limits {
  /** By all rows. */
  readonly table: number;
  /** By the rows of the headline, and by causal passes; not below the table's. */
  readonly headline: number;
}

export interface Plan {
  readonly tasks: readonly Task[];
  readonly rows: readonly Row[];
  readonly limits: Limits;
  readonly seed: number;
  readonly temperature: number;
}

export type OnItem = (task: string, numDone: number, numItems: number) => void;

/** A text that had to be plain decoding's and was another one. */
export class DivergenceError extends TidarError {
  constructor(row: Row, task: Task, index: number, [got, expected]: readonly [Decoded, Decoded]) {
    const at = expected.tokenIds.findIndex((id, place) => got.tokenIds[place] !== id);
    const place = at < 0 ? expected.tokenIds.length : at;
    super(
      'internal',
      `${row.label} gave another text than AR: ${task.spec.name}, item ${index + 1}, token ${place + 1}.`,
      {
        internal: `AR: ${JSON.stringify(expected.text)}; ${row.label}: ${JSON.stringify(got.text)}`,
      },
    );
  }
}

/** Whether answers are judged; means are taken over these tasks. */
export function isGenerative({ spec }: Task): boolean {
  return spec.type !== 'choices' && spec.type !== 'perplexity';
}

export function numItems({ items }: Task, limit: number): number {
  return Math.min(items.length, limit);
}

/** Answers every item that has no line yet; an item's rows take turns, so that the machine's moods fall on all of them. */
export async function evaluate(
  plan: Plan,
  models: Models,
  abilities: Abilities,
  { results, onItem }: { results: ResultsFile; onItem?: OnItem },
): Promise<void> {
  const numAll = plan.tasks.reduce((sum, task) => sum + numItems(task, plan.limits.headline), 0);
  let numDone = 0;
  for (const task of plan.tasks) {
    for (const [index, item] of task.items.slice(0, plan.limits.headline).entries()) {
      const rows = rowsFor(plan, abilities, task, index);
      const known = results.get(task.spec.name, index);
      if (known === undefined || rows.some(({ id }) => known.answers[id] === undefined))
        results.append(await answer(plan, models, abilities, { task, index, item, rows }));
      onItem?.(task.spec.name, ++numDone, numAll);
    }
  }
}

function rowsFor({ rows, limits }: Plan, abilities: Abilities, task: Task, index: number): Row[] {
  if (task.spec.type === 'choices') return [];
  const isInTable = index < limits.table;
  return rows.filter(
    (row) => (isInTable || (row.isHeadline && isGenerative(task))) && abilities.of(row, task).type === 'runs',
  );
}

interface Work {
  readonly task: Task;
  readonly index: number;
  readonly item: Item;
  readonly rows: readonly Row[];
}

async function answer(plan: Plan, models: Models, abilities: Abilities, work: Work): Promise<ResultLine> {
  const { task, index, item, rows } = work;
  const scores: Record<string, Scored> = {};
  for (const key of MODEL_KEYS) {
    const model = modelOf(models, key);
    const isWanted = key === 'main' || plan.rows.some((row) => row.model === key);
    const scored = model === undefined || !isWanted ? undefined : await score(model, task, item);
    if (scored !== undefined) scores[key] = scored;
  }
  const decoded = new Map<Row, Decoded>();
  for (const turn of turns(rows.length, index)) {
    const row = rows[turn];
    const model = row && modelOf(models, row.model);
    if (row === undefined || model === undefined) continue;
    const question = await questionOf(plan, model, work, abilities.of(row, task));
    decoded.set(row, await decodeItem(model, question, row.decoder));
  }
  assertLaw(decoded, task, index);
  const judge = judgeOf(item);
  const answers: Record<string, Generated> = {};
  for (const row of rows) {
    const one = decoded.get(row);
    if (one === undefined) continue;
    const { tokenIds, ...rest } = one;
    const isRight = await judge?.(one.text);
    answers[row.id] = { ...rest, numTokens: tokenIds.length, ...(isRight === undefined ? {} : { isRight }) };
  }
  return { task: task.spec.name, index, answers, scores };
}

async function score(model: OpenedModel, { spec }: Task, item: Item): Promise<Scored | undefined> {
  if (item.type === 'text') return measureText(model, item.text, spec.window);
  if (item.type !== 'choices') return undefined;
  const { byByte, byToken } = await choose(model, item, spec.prompt);
  return { isRightByByte: byByte === item.answer, isRightByToken: byToken === item.answer };
}

/** On CPUs in fp32, where everything here is run, equal means bit for bit. */
function assertLaw(decoded: ReadonlyMap<Row, Decoded>, task: Task, index: number): void {
  const [, expected] = [...decoded].find(([{ id }]) => id === AR_ROW) ?? [];
  if (expected === undefined) return;
  for (const [row, got] of decoded) {
    if (!isLossless(row) || got.tokenIds.join() === expected.tokenIds.join()) continue;
    throw new DivergenceError(row, task, index, [got, expected]);
  }
}

/** Equal answers are judged once. */
function judgeOf(item: Item): ((text: string) => Promise<boolean>) | undefined {
  if (item.type !== 'generate') return undefined;
  const known = new Map<string, Promise<boolean>>();
  return (text) => {
    const verdict = known.get(text) ?? Promise.resolve(item.isRight(text));
    known.set(text, verdict);
    return verdict;
  };
}
