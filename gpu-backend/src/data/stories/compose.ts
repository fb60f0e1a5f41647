import { isUsable, operate, smallestResult } from '../arithmetic/pattern.ts';
import type { Problem, Template } from '../arithmetic/problem.ts';
import type { Random } from '../random.ts';
import type { Frame, Move } from './frame.ts';
import { StoryWords } from './lexicon.ts';
import { askedInPast, inPast } from './tense.ts';

const largestDivisor = 10;
/** How often a story is told in the past tense. */
const pastShare = 2 / 5;
const partWords = new Map([
  [2, 'half'],
  [3, 'a third'],
  [4, 'a quarter'],
  [5, 'a fifth'],
  [10, 'a tenth'],
]);

class Unusable extends Error {}

/** A story being told: its words, its amount so far, the steps already taken. */
class Story {
  readonly random: Random;
  readonly words: StoryWords;
  readonly numbers: number[] = [];
  readonly operations: string[] = [];
  readonly steps: string[] = [];
  readonly things: string;
  readonly isPast: boolean;
  value = 0;
  #last: ReadonlyMap<string, number> = new Map();

  constructor(random: Random, frame: Frame) {
    this.random = random;
    this.words = new StoryWords(random);
    this.things = random.pick(frame.things);
    this.isPast = random.integer(1, 5) <= pastShare * 5;
  }

  /** Draws the move's numbers, takes its steps, and returns one of its wordings. */
  tell(move: Move): string {
    const amounts = new Map<string, number>([
      ['v', this.value],
      ['o', this.value],
    ]);
    if (move.steps.length === 0) this.#begin(amounts);
    for (const step of move.steps) this.#take(step, amounts);
    this.#last = amounts;
    const told = this.random.pick(move.told);
    return this.fill(this.isPast ? inPast(told) : told, amounts);
  }

  fill(text: string, amounts = this.#last): string {
    return text
      .replaceAll('{u}', this.things)
      .replace(/\{(\w+)(?::(part|times))?\}/g, (whole, name: string, style: string | undefined) => {
        const number = amounts.get(name);
        const value = number === undefined ? this.words.get(name) : numberText(number, style);
        if (value === undefined) throw new Error(`nothing fills ${whole} in "${text}"`);
        return value;
      });
  }

  /** The question, told in the past as well for half of the stories that are. */
  ask(text: string): string {
    return this.fill(this.isPast && this.random.integer(0, 1) === 0 ? askedInPast(text) : text);
  }

  #begin(amounts: Map<string, number>): void {
    this.value = this.random.integer(0, 2) === 0 ? this.random.integer(20, 99) : this.random.integer(3, 40);
    amounts.set('1', this.value);
    this.numbers.push(this.value);
  }

  #take(step: string, amounts: Map<string, number>): void {
    const match = /\[(\w+) ([-+*/]) (\w+)\]/.exec(step);
    if (match === null) throw new Error(`no computation in "${step}"`);
    const [whole, left = '', operator = '', right = ''] = match;
    const a = this.#amount(left, operator, right, amounts, true);
    const b = this.#amount(right, operator, left, amounts, false);
    const result = operate(a, operator, b);
    if (!isUsable(result)) throw new Unusable();
    const before = amounts.get('r');
    if (before !== undefined) amounts.set('q', before);
    this.operations.push(`${left}${operator}${right}`);
    const text = step.replace(whole, `${a} ${operator} ${b} = ${result}`);
    this.steps.push(upperFirst(this.fill(text, amounts)));
    amounts.set('r', result);
    this.value = result;
    amounts.set('v', result);
  }

  #amount(
    name: string,
    operator: string,
    other: string,
    amounts: Map<string, number>,
    isLeft: boolean,
  ): number {
    const known = amounts.get(name);
    if (known !== undefined) return known;
    if (/^\d\d+$/.test(name)) return Number(name.slice(1));
    const drawn = this.#draw(operator, amounts.get(other), isLeft);
    amounts.set(name, drawn);
    this.numbers.push(drawn);
    return drawn;
  }

  /** A number that suits the operation with the other operand, where that is known. */
  #draw(operator: string, other: number | undefined, isLeft: boolean): number {
    const { random } = this;
    switch (operator) {
      case '+':
        return random.integer(0, 3) === 0 ? random.integer(10, 60) : random.integer(2, 30);
      case '-':
        if (isLeft) return (other ?? random.integer(2, 30)) + random.integer(2, 40);
        if (other === undefined || other < 2 * smallestResult) throw new Unusable();
        return random.integer(2, Math.min(other - smallestResult, 60));
      case '*':
        return other !== undefined && other <= 9 && random.integer(0, 2) === 0
          ? random.integer(2, 20)
          : random.integer(2, other !== undefined && other > 30 ? 5 : 9);
      default: {
        const divisors = [2, 3, 4, 5, 6, 7, 8, 9, largestDivisor].filter(
          (d) => other !== undefined && other % d === 0,
        );
        if (divisors.length === 0) throw new Unusable();
        return random.pick(divisors);
      }
    }
  }
}

/** Stories of a frame with so many steps; each is a template by its own choices. */
export function storyTemplate(frame: Frame, numSteps: number, weight: number): Template {
  return {
    id: `${frame.id}-${numSteps}`,
    weight,
    generate(random) {
      for (let i = 0; i < 100_000; i++) {
        try {
          const problem = tell(frame, random, numSteps);
          if (problem !== undefined) return problem;
        } catch (error) {
          if (!(error instanceof Unusable)) throw error;
        }
      }
      throw new Error(`frame ${frame.id}: no draw fits`);
    },
  };
}

function tell(frame: Frame, random: Random, numSteps: number): Problem | undefined {
  const story = new Story(random, frame);
  const start = story.tell(random.pick(frame.starts));
  const end = random.integer(0, 2) === 0 ? pickMove(random, frame.ends) : undefined;
  const left = numSteps - (end?.steps.length ?? 0);
  const clauses: string[] = [];
  let isLoss = false;
  while (story.steps.length < left) {
    isLoss = frame.gains.length === 0 || (frame.losses.length > 0 && random.integer(0, 1) === 0);
    const next = pickMove(random, isLoss ? frame.losses : frame.gains);
    if (next === undefined) return undefined;
    const clause = story.tell(next);
    if (clauses.some((each) => withoutNumbers(each) === withoutNumbers(clause))) return undefined;
    clauses.push(clause);
  }
  const ending = end === undefined ? undefined : story.tell(end);
  if (story.steps.length !== numSteps) return undefined;
  const asks = end?.asks ?? (isLoss ? frame.asksLeft : frame.asks);
  const question = joinStory(story, frame, { start, clauses, ending, ask: story.ask(random.pick(asks)) });
  if (/\b(\w{4,}) \1\b/.test(question)) return undefined;
  return {
    templateId: `story:${story.operations.join()}`,
    numbers: story.numbers,
    question,
    steps: story.steps,
    answer: story.value,
  };
}

const withoutNumbers = (text: string): string => text.replace(/\d+/g, '');

/** 3 as "3", as "a third" or as "3 times". */
function numberText(number: number, style: string | undefined): string {
  if (style === 'times') return number === 2 ? 'twice' : `${number} times`;
  if (style === undefined) return String(number);
  const part = partWords.get(number);
  if (part === undefined) throw new Unusable();
  return part;
}

/** Few amounts divide exactly, so divisions are tried more often than they succeed. */
function pickMove<M extends Move>(random: Random, moves: readonly M[]): M | undefined {
  const weighted = moves.flatMap((each) =>
    Array<M>(each.steps[0]?.includes('/ 1]') === true ? 4 : 1).fill(each),
  );
  return weighted.length === 0 ? undefined : random.pick(weighted);
}

interface Parts {
  start: string;
  clauses: string[];
  ending: string | undefined;
  ask: string;
}

const openers = [
  'Then ',
  'After that ',
  'Later ',
  'Next ',
  'The next day ',
  'In the evening ',
  'A day later ',
];
const firsts = [
  '',
  '',
  '',
  '',
  'On {day} ',
  'One day ',
  'Last week ',
  'In the morning ',
  'At first ',
  'Today ',
];

/** Puts the clauses together: sentences of their own, joined with "and", in a list, or inside the question. */
function joinStory(story: Story, frame: Frame, { start, clauses, ending, ask }: Parts): string {
  const { random } = story;
  const opener = /\b[A-Z]\w+day\b|morning/.test(start) ? '' : story.fill(random.pick(firsts));
  const first = opener === '' ? start : opener + lowerFirst(start, story);
  const subject = (): string => (random.integer(0, 2) === 0 ? story.fill('{N}') : story.fill('{she}'));
  const withSubject = (clause: string): string => (frame.isPersonal ? `${subject()} ${clause}` : clause);
  const sentences: string[] = [first];
  let i = 0;
  const startsWithName = first.startsWith(`${story.fill('{N}')} `);
  if (frame.isPersonal && startsWithName && clauses.length > 0 && random.integer(0, 2) === 0) {
    sentences[0] = `${first} and ${random.integer(0, 1) === 0 ? 'then ' : ''}${clauses[0]}`;
    i = 1;
  }
  for (; i < clauses.length; i++) {
    const canPair = i + 1 < clauses.length && random.integer(0, 1) === 0;
    const text = withSubject(clauses[i] ?? '');
    const lead = random.integer(0, 1) === 0 ? random.pick(openers) : '';
    const pair = clauses[i + 1];
    sentences.push(lead + text + (canPair ? ` and ${random.integer(0, 1) === 0 ? 'then ' : ''}${pair}` : ''));
    if (canPair) i++;
  }
  if (ending !== undefined && ending !== '') sentences.push(ending);
  const isShort = sentences.length <= 2 && !sentences.some((each) => each.includes('. '));
  if (isShort && random.integer(0, 5) === 0) return conditional(sentences, ask, story);
  return [...sentences.map((each) => `${upperFirst(each)}.`), ask].join(' ');
}

/** "If Ana has 3 pens and buys 2 more, how many pens does Ana have now?", or the question first. */
function conditional(sentences: string[], ask: string, story: Story): string {
  const inner = sentences.map((each) => lowerFirst(each, story)).join(' and ');
  const isAsked = ask.endsWith('?');
  if (isAsked && story.random.integer(0, 2) === 0) return `${ask.slice(0, -1)} if ${inner}?`;
  return `If ${inner}, ${ask.charAt(0).toLowerCase()}${ask.slice(1)}`;
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Names and days keep their capital. */
function lowerFirst(text: string, story: Story): string {
  const [word = ''] = text.split(/\W/);
  const isName = ['{N}', '{N2}', '{day}'].some((each) => story.fill(each) === word);
  return isName ? text : text.charAt(0).toLowerCase() + text.slice(1);
}
