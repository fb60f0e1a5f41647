import type { Random } from '../random.ts';
import { operate } from './pattern.ts';
import type { Problem, Template } from './problem.ts';
import { Words } from './words.ts';

/** One thing that happens to a heap of items, as told in the question and in its step. */
interface ChainEvent {
  id: string;
  operator: '+' | '-' | '*';
  told: (amount: number) => string;
  after: string;
  amounts: readonly [number, number];
}

const events: readonly ChainEvent[] = [
  { id: 'find', operator: '+', told: (n) => `finds ${n}`, after: 'finding', amounts: [2, 20] },
  { id: 'buy', operator: '+', told: (n) => `buys ${n}`, after: 'buying', amounts: [2, 20] },
  { id: 'lose', operator: '-', told: (n) => `loses ${n}`, after: 'losing', amounts: [2, 20] },
  { id: 'give', operator: '-', told: (n) => `gives away ${n}`, after: 'giving away', amounts: [2, 20] },
  { id: 'sell', operator: '-', told: (n) => `sells ${n}`, after: 'selling', amounts: [2, 20] },
];

const startRange = [10, 40] as const;
const valueRange = [2, 99] as const;

/** A story of `numEvents` events, one step each. */
export function chain(numEvents: number, weight: number): Template {
  return {
    id: `chain-${numEvents}`,
    weight,
    generate(random) {
      for (;;) {
        const problem = tryChain(numEvents, random);
        if (problem !== undefined) return problem;
      }
    },
  };
}

function tryChain(numEvents: number, random: Random): Problem | undefined {
  const words = new Words(random);
  const name = words.get('name') ?? '';
  const items = words.get('items') ?? '';
  const chosen = Array.from({ length: numEvents }, () => random.pick(events));
  const start = random.integer(...startRange);
  const numbers = [start];
  const steps: string[] = [];
  let value = start;
  for (const event of chosen) {
    const amount = random.integer(...event.amounts);
    const result = operate(value, event.operator, amount);
    if (result < valueRange[0] || result > valueRange[1]) return undefined;
    steps.push(
      `After ${event.after} ${amount}, ${name} has ${value} ${event.operator} ${amount} = ${result} ${items}.`,
    );
    numbers.push(amount);
    value = result;
  }
  const told = chosen.map((event, i) => event.told(numbers[i + 1] ?? 0));
  const question =
    `${name} has ${start} ${items}. Then ${name} ${joinWithAnd(told)}. ` +
    `How many ${items} does ${name} have in the end?`;
  const templateId = `chain-${chosen.map((event) => event.id).join('-')}`;
  return { templateId, numbers, question, steps, answer: value };
}

function joinWithAnd(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
