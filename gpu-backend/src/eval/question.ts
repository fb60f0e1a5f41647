import { createHash } from 'node:crypto';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import type { Ability } from './abilities.ts';
import { encodePrompt } from './decode-item.ts';
import type { Question } from './decode-item.ts';
import type { OpenedModel } from './models.ts';
import type { Item } from './tasks/item.ts';
import type { Task } from './tasks/load.ts';

/** How tokens are drawn, unless a task says otherwise. */
export interface Chance {
  readonly seed: number;
  readonly temperature: number;
}

/** What a row is asked; of a text, to go on where its first half ends. */
export async function questionOf(
  chance: Chance,
  model: OpenedModel,
  { task: { spec }, index, item }: { readonly task: Task; readonly index: number; readonly item: Item },
  ability: Ability,
): Promise<Question> {
  const prompt =
    item.type === 'text' ? firstHalf(item.text) : item.type === 'choices' ? item.context : item.prompt;
  const grammar = item.type === 'generate' ? item.grammar : undefined;
  const isHeld = grammar !== undefined && ability.type === 'runs' && ability.usesGrammar;
  return {
    promptIds: encodePrompt(model, prompt, spec.prompt),
    maxTokens: spec.maxTokens,
    sampling: samplingOf(chance, spec, index),
    stop: spec.stop,
    format: isHeld ? { spec: grammar, compiled: await model.compiler.compile(grammar) } : undefined,
  };
}

/** Each item has noise of its own, the same in every run with the seed. */
function samplingOf(
  { seed, temperature }: Chance,
  { name, temperature: own }: Task['spec'],
  index: number,
): Sampling {
  const hash = createHash('sha256').update(`${seed} ${name} ${index}`).digest();
  return { ...PLAIN_SAMPLING, temperature: own ?? temperature, seed: hash.readBigUInt64LE() };
}

function firstHalf(text: string): string {
  const space = text.lastIndexOf(' ', Math.ceil(text.length / 2));
  return text.slice(0, space < 1 ? Math.ceil(text.length / 2) : space);
}
