import { TidarError } from '@tidar/shared/errors.ts';
import { decodeItem } from './decode-item.ts';
import { modelOf, whyNot } from './models.ts';
import type { Models, OpenedModel } from './models.ts';
import type { Row } from './rows.ts';
import { questionOf } from './question.ts';
import type { Task } from './tasks/load.ts';

/** Whether a row can do a task. Where a decoder takes no grammar, it answers freely and is judged as the others. */
export type Ability =
  | { readonly type: 'runs'; readonly usesGrammar: boolean }
  | { readonly type: 'refused'; readonly reason: string };

export interface Abilities {
  readonly of: (row: Row, task: Task) => Ability;
}

/** Finds out by asking each row for one token of each task's first item: what is refused is refused by name. */
export async function findAbilities(
  rows: readonly Row[],
  tasks: readonly Task[],
  models: Models,
): Promise<Abilities> {
  const found = new Map<Row, Map<Task, Ability>>();
  for (const row of rows) {
    const own = new Map<Task, Ability>();
    const reason = whyNot(row, models);
    const model = modelOf(models, row.model);
    for (const task of tasks) {
      const isOut = reason !== undefined || model === undefined;
      own.set(task, isOut ? { type: 'refused', reason: reason ?? '' } : await tryOne(row, task, model));
    }
    found.set(row, own);
  }
  return { of: (row, task) => found.get(row)?.get(task) ?? { type: 'refused', reason: 'not tried' } };
}

async function tryOne(row: Row, task: Task, model: OpenedModel): Promise<Ability> {
  const [item] = task.items;
  if (item === undefined || item.type === 'choices') return { type: 'runs', usesGrammar: false };
  const hasGrammar = item.type === 'generate' && item.grammar !== undefined;
  const refusals: string[] = [];
  for (const usesGrammar of hasGrammar ? [true, false] : [false]) {
    const ability = { type: 'runs', usesGrammar } as const;
    try {
      const question = await questionOf(
        { seed: 0, temperature: 0 },
        model,
        { task, index: 0, item },
        ability,
      );
      await decodeItem(model, { ...question, maxTokens: 1 }, row.decoder);
      return ability;
    } catch (error) {
      if (!(error instanceof TidarError) || error.code !== 'invalid_request') throw error;
      refusals.push(error.message);
    }
  }
  return { type: 'refused', reason: refusals.at(-1) ?? '' };
}
