import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTrained } from '../arithmetic/generate.ts';
import { operate } from '../arithmetic/pattern.ts';
import { isHeldOut } from '../arithmetic/problem.ts';
import type { Problem } from '../arithmetic/problem.ts';
import { wordProblems } from '../mix.ts';
import { Random } from '../random.ts';
import { faultsOf } from '../testing.ts';
import { storyTemplate } from './compose.ts';
import { end, move } from './frame.ts';
import type { Frame } from './frame.ts';
import { plural, StoryWords } from './lexicon.ts';
import { askedInPast, inPast } from './tense.ts';
import { frames, longerStories, storyTemplates } from './templates.ts';

const all = [...storyTemplates, ...longerStories];

/** A frame of which only some moves are left. */
const only = (frame: Frame, part: Partial<Frame>): Frame => ({
  ...frame,
  gains: [],
  losses: [],
  ends: [],
  ...part,
});
const plainStart = move([], '{N} has {1} {u}');
const toyFrame: Frame = {
  id: 'test',
  isPersonal: true,
  things: ['pens'],
  starts: [plainStart],
  gains: [],
  losses: [],
  ends: [],
  asks: ['How many {u}?'],
  asksLeft: ['How many {u} are left?'],
};

describe('stories', () => {
  it.each(all)('$id: every step is right and uses only numbers that are told', (template) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(faultsOf(template.generate(new Random(seed)))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('have so many steps as their template says', () => {
    for (const template of all) {
      for (let seed = 0; seed < 10; seed++) {
        expect(template.generate(new Random(seed)).steps).toHaveLength(
          Number(/-(\d)$/.exec(template.id)?.[1]),
        );
      }
    }
  });

  it('tell every number that was drawn, as digits or as a part', () => {
    const parts = ['half', 'third', 'quarter', 'fifth', 'tenth', 'twice'];
    for (const template of all) {
      for (let seed = 0; seed < 30; seed++) {
        const { question, numbers } = template.generate(new Random(seed));
        const told = question.match(/\d+/g)?.map(Number) ?? [];
        const untold = numbers.filter((number) => !told.includes(number));
        const numParts =
          question.toLowerCase().match(new RegExp(`\\b(${parts.join('|')})\\b`, 'g'))?.length ?? 0;
        expect(untold.length, question).toBeLessThanOrEqual(numParts);
      }
    }
  });

  it('give the same problem for the same seed', () => {
    for (const template of all)
      expect(template.generate(new Random(3))).toEqual(template.generate(new Random(3)));
  });

  it('longer ones have more steps than any trained story', () => {
    const numSteps = (templates: typeof all): number[] =>
      templates.map((template) => template.generate(new Random(1)).steps.length);
    expect(Math.max(...numSteps([...storyTemplates]))).toBeLessThan(
      Math.min(...numSteps([...longerStories])),
    );
  });

  it('are of many shapes: hundreds of sequences of operations, thousands of wordings without their words', () => {
    const problems = wordProblems(1, 'training').take(20_000).toArray();
    const stories = problems.filter(({ templateId }) => templateId.startsWith('story:'));
    const people =
      /\b(?!(?:How|What|Then|The|There|If|In|On|At|After|Each|Every|Later|Next|Today|One|She|He|They|A)\b)[A-Z]\w+/g;
    const wordings = stories.map(({ question }) => question.replace(/\d+/g, '#').replace(people, 'N'));
    expect(new Set(stories.map(({ templateId }) => templateId)).size).toBeGreaterThan(300);
    expect(new Set(wordings).size / stories.length).toBeGreaterThan(0.8);
  });
});

describe('a story by its structure', () => {
  const cases: [string, Partial<Frame>, (numbers: number[]) => number][] = [
    ['a start', { starts: [move(['It is [1 * 2] {u}.'], '{1} of {2}')] }, ([a = 0, b = 0]) => a * b],
    ['a gain', { gains: [move(['It is [v + 1] {u}.'], 'gets {1}')] }, ([a = 0, b = 0]) => a + b],
    ['a loss', { losses: [move(['It is [v - 1] {u}.'], 'loses {1}')] }, ([a = 0, b = 0]) => a - b],
    [
      'a part',
      { losses: [move(['So [v / 1] {u} go.', 'It is [o - r] {u}.'], 'loses {1:part}')] },
      ([a = 0, b = 1]) => a - a / b,
    ],
    [
      'a target',
      { ends: [end(['It needs [1 - v] {u}.'], ['wants {1}'], 'How many {u}?')] },
      ([a = 0, b = 0]) => b - a,
    ],
    [
      'two groups',
      { starts: [move(['[1 * 2] {u}.', '[3 * 4] {u}.', '[q + r] {u}.'], '{1} {2} {3} {4}')] },
      ([a = 0, b = 0, c = 0, d = 0]) => a * b + c * d,
    ],
    [
      'a constant',
      { ends: [end(['It is [v * 04] legs.'], ['each has 4'], 'How many legs?')] },
      ([a = 0]) => a * 4,
    ],
  ];
  it.each(cases)('has the answer of %s', (_, part, expected) => {
    const frame = only(toyFrame, part);
    const moves = [...frame.starts, ...frame.gains, ...frame.losses, ...frame.ends];
    const template = storyTemplate(
      frame,
      moves.reduce((sum, { steps }) => sum + steps.length, 0),
      1,
    );
    for (let seed = 0; seed < 50; seed++) {
      const { answer, numbers } = template.generate(new Random(seed));
      expect(answer).toBe(expected(numbers));
    }
  });

  it('ends with an error, not in a loop, where no draw fits', () => {
    const never = only(toyFrame, {
      gains: [move(['It is [v * 1] {u}.', 'It is [r * r] {u}.', 'It is [r * r] {u}.'], 'x')],
    });
    expect(() => storyTemplate(never, 3, 1).generate(new Random(1))).toThrow('no draw fits');
  });

  it('throws where a text has a placeholder that nothing fills', () => {
    const broken = only(toyFrame, { gains: [move(['It is [v + 1] {u}.'], 'gets {1} {nothing}')] });
    expect(() => storyTemplate(broken, 1, 1).generate(new Random(1))).toThrow('{nothing}');
  });

  it('fills every wording of every move of every frame', () => {
    for (const frame of frames) {
      for (const each of [...frame.starts, ...frame.gains, ...frame.losses, ...frame.ends]) {
        const numbers = new Set(each.steps.join().match(/\b[1-4]\b/g));
        if (each.steps.length === 0) numbers.add('1');
        for (const told of each.told.filter((text) => text !== '')) {
          expect(
            new Set([...told.matchAll(/\{([1-4])(?::part|:times)?\}/g)].map(([, n]) => n)),
            told,
          ).toEqual(numbers);
        }
      }
    }
  });
});

describe('word problems for training', () => {
  const trained = wordProblems(1, 'training').take(20_000).toArray();
  const key = ({ templateId, numbers }: Problem): string => `${templateId}:${numbers.join()}`;

  it('never share operations and numbers with the held-out ones, whatever the scene', () => {
    const trainedKeys = new Set(trained.map(key));
    const heldOut = [...wordProblems(1, 'heldOut').take(1_000), ...wordProblems(1, 'validation').take(1_000)];
    expect(heldOut.filter((problem) => trainedKeys.has(key(problem)))).toEqual([]);
    expect(heldOut.every(isHeldOut) && trained.every(isTrained)).toBe(true);
  });

  it('hold out about one in twenty', () => {
    const some = wordProblems(2, 'training', () => true)
      .take(10_000)
      .toArray();
    const share = some.filter(isHeldOut).length / some.length;
    expect(share).toBeGreaterThan(0.035);
    expect(share).toBeLessThan(0.065);
  });

  it('come once each', () => {
    expect(new Set(trained.map(({ question }) => question)).size).toBe(trained.length);
  });

  it('recompute: the answer is what the steps give one after another', () => {
    for (const { steps, answer } of trained.slice(0, 5_000)) {
      const results = steps.map((step) => /(\d+) ([-+*/]) (\d+) = (\d+)/.exec(step)!);
      for (const [, a, operator, b, result] of results) {
        expect(operate(Number(a), operator!, Number(b))).toBe(Number(result));
      }
      expect(Number(results.at(-1)?.[4])).toBe(answer);
    }
  });
});

describe('the past tense', () => {
  it.each([
    ['{N} buys {1} {plants} and has to leave', '{N} bought {1} {plants} and had to leave'],
    ['There are {1} {u} that want to come', 'There were {1} {u} that wanted to come'],
    ["{N}'s {box} holds {1} {u}", "{N}'s {box} held {1} {u}"],
  ])('of %s is %s', (text, past) => {
    expect(inPast(text)).toBe(past);
  });

  it.each([
    ['How many {u} does {N} have left?', 'How many {u} did {N} have left?'],
    ['How many {u} are there now?', 'How many {u} were there now?'],
    ['How many {u} do they get together?', 'How many {u} did they get together?'],
    ['How many {u} can {N} buy?', 'How many {u} can {N} buy?'],
  ])('of %s is %s', (text, past) => {
    expect(askedInPast(text)).toBe(past);
  });
});

describe('words of a story', () => {
  it('are distinct where more than one is asked for, and the same when asked again', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const words = new StoryWords(new Random(seed));
        const drawn = ['N', 'N2', 'N3', 'box', 'box2', 'color', 'color2'].map((each) => words.get(each));
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(words.get('N2')).toBe(drawn[1]);
        expect(words.get('boxes')).toBe(plural(drawn[3]!));
      }),
    );
  });

  it.each([
    ['box', 'boxes'],
    ['berry', 'berries'],
    ['toy', 'toys'],
    ['glass', 'glasses'],
    ['child', 'children'],
    ['brush', 'brushes'],
    ['scarf', 'scarves'],
  ])('the plural of %s is %s', (one, many) => {
    expect(plural(one)).toBe(many);
  });

  it('has no word for an unknown placeholder, also not for a name of an object property', () => {
    const words = new StoryWords(new Random(1));
    for (const name of ['nothing', 'toString', 'constructor', '1']) expect(words.get(name)).toBeUndefined();
  });
});
