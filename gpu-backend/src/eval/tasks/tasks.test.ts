import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { writeLines } from '../testing.ts';
import type { ExtractorName } from './extractors.ts';
import { isSameAnswer } from './extractors.ts';
import type { ChoicesItem, GenerateItem } from './item.ts';
import { assertMayRun, loadTaskFile, loadTaskFlag, SHIPPED_TASKS } from './load.ts';
import { isCompleteDeclaration } from './typescript-parser.ts';

function itemOf<T>(line: object, type: string): T {
  const path = writeLines(join(temporaryFolder(), 'items.jsonl'), [line]);
  return loadTaskFlag(`${path}:${type}`).items[0] as T;
}

describe('an answer', () => {
  it.each<[ExtractorName, string, string, boolean]>([
    ['after-hashes', '1 + 1 = 2\n#### 2', 'quite another way\n#### 2', true],
    ['after-hashes', '#### 2', '#### 1\n#### 2', true],
    ['after-hashes', '#### 1,234', '#### 1234', true],
    ['after-hashes', '#### 2', '#### $2.00', true],
    ['after-hashes', '#### 2', '1 + 1 = 2\n#### 3', false],
    ['after-hashes', '#### 2', '2', false],
    ['after-hashes', '#### 2', '#### 2 apples', false],
    ['after-hashes', '#### 2', '', false],
    ['last-number', 'so\n#### -7', 'It is 5, no, -7.', true],
    ['last-number', '#### 72', 'The answer is 72.', true],
    ['last-number', '#### 72', 'The answer is 7.2', false],
    ['last-number', '#### 72', 'none', false],
    ['first-line', 'Rome\nbecause', 'Rome\n\nelse', true],
    ['first-line', 'Rome', 'In Rome', false],
    ['whole', 'In Rome.', ' In Rome.\n', true],
    ['whole', 'In Rome.', 'In Rome', false],
    ['whole', 'In Rome.', '#### In Rome.', false],
  ])('by %s: %j is answered by %j: %s', (extractor, reference, text, isRight) => {
    expect(isSameAnswer(extractor, text, reference)).toBe(isRight);
    expect(isSameAnswer(extractor, reference, reference)).toBe(true);
  });
});

describe('TypeScript’s own parser', () => {
  it.each([
    ['interface A {\n  b: string;\n}', true],
    ['export declare namespace N {\n  function f(a?: number): void;\n}\ntype B = A | undefined;', true],
    ['interface A {\n  b: string;', false],
    ['interface A {\n  b: ;\n}', false],
    ['interface A { }}', false],
    ['f();', false],
    ['', false],
    ['// nothing', false],
  ])('takes whole declarations and nothing else: %j %s', (code, isComplete) => {
    expect(isCompleteDeclaration(code)).toBe(isComplete);
  });
});

describe('the shipped tasks', () => {
  const tasks = loadTaskFile(SHIPPED_TASKS);

  it('are of all five types and have the items of their files', () => {
    const types = new Set(tasks.map(({ spec }) => spec.type));
    expect(types).toEqual(new Set(['exact', 'code', 'json', 'choices', 'perplexity']));
    for (const { items } of tasks) expect(items.length).toBeGreaterThanOrEqual(100);
  });

  it.each(
    tasks.filter(({ items }) => items[0]?.type === 'generate').map((task) => [task.spec.name, task] as const),
  )(
    'take the reference answer of every item as right, and no answer or another item’s as wrong: %s',
    async (_, { spec, items }) => {
      const lines = readFileSync(join(dirname(SHIPPED_TASKS), spec.file), 'utf8')
        .trimEnd()
        .split('\n');
      const references = lines.map((line) => {
        const {
          answer,
          canonical_solution: solution,
          expected,
        } = JSON.parse(line) as Record<string, unknown>;
        return typeof (answer ?? solution) === 'string'
          ? String(answer ?? solution)
          : JSON.stringify(expected);
      });
      for (const [index, item] of (items as readonly GenerateItem[]).entries()) {
        const [own = '', other = ''] = [references[index], references[(index + 1) % references.length]];
        expect(await item.isRight(own)).toBe(true);
        expect(await item.isRight('')).toBe(false);
        if (spec.type === 'json' && own !== other) expect(await item.isRight(other)).toBe(false);
      }
    },
  );
});

describe('tasks of one’s own', () => {
  it('are GSM8K’s lines by its own form, shown as they are', async () => {
    const item = itemOf<GenerateItem>({ question: 'What?', answer: 'x\n#### 1,000' }, 'exact:after-hashes');
    expect(item.prompt).toBe('What?');
    expect(await item.isRight('so\n#### 1000')).toBe(true);
  });

  it('fill a template’s places once, with fields of the line', () => {
    const folder = temporaryFolder();
    writeLines(join(folder, 'q.jsonl'), [{ question: 'a {answer}?', answer: '2', hint: 'h' }]);
    const spec = { name: 'q', file: 'q.jsonl', type: 'exact', template: 'Q: {question} ({hint}, {no})\nA:' };
    writeFileSync(join(folder, 'tasks.json'), JSON.stringify([spec]));
    const [task] = loadTaskFile(join(folder, 'tasks.json'));
    expect((task!.items[0] as GenerateItem).prompt).toBe('Q: a {answer}? (h, {no})\nA:');
  });

  it('are choices in two forms: our own and HellaSwag’s', () => {
    const own = itemOf<ChoicesItem>({ context: 'c', choices: ['a', 'b'], answer: 1 }, 'choices');
    expect(own).toEqual({ type: 'choices', context: 'c', choices: ['a', 'b'], answer: 1 });
    const swag = itemOf<ChoicesItem>({ ctx: 'c', endings: ['a', 'b'], label: '1', ind: 4 }, 'choices');
    expect(swag).toEqual({ type: 'choices', context: 'c', choices: [' a', ' b'], answer: 1 });
  });

  it('are JSON that is valid and, where values are expected, equal, whatever the order of keys', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'string' } },
      required: ['a'],
    };
    const free = itemOf<GenerateItem>({ question: '?', schema }, 'json');
    expect(free.grammar).toEqual({ type: 'json_schema', schema });
    const judge = async ({ isRight }: GenerateItem, texts: string[]): Promise<boolean[]> => {
      const verdicts: boolean[] = [];
      for (const text of texts) verdicts.push(await isRight(text));
      return verdicts;
    };
    const some = ['{"a":1}', '{"a":"1"}', '{"b":""}', '{"a":1'];
    expect(await judge(free, some)).toEqual([true, false, false, false]);
    const any = itemOf<GenerateItem>({ question: '?', schema: {} }, 'json');
    expect(await judge(any, ['null', 'nul'])).toEqual([true, false]);
    const held = itemOf<GenerateItem>({ question: '?', schema, expected: { a: 1, b: 'x' } }, 'json');
    const others = ['{"b":"x","a":1}', '{"a":1}', '{"a":1,"b":"x","c":2}'];
    expect(await judge(held, others)).toEqual([true, false, false]);
  });

  it.each<[string, object, string]>([
    ['exact', { question: 'q' }, 'line 2: expected question and answer'],
    [
      'exact:after-hashes',
      { question: 'q', answer: '7' },
      'line 2: the extractor "after-hashes" finds no answer',
    ],
    ['code:python', { prompt: 'p' }, 'line 2: the checker "python" needs a test'],
    ['choices', { context: 'c', choices: ['a', 'b'], answer: 2 }, 'line 2: its answer is 2, and there are 2'],
    ['choices', { context: 'c', choices: ['a'], answer: 0 }, 'line 2: expected context, choices and answer'],
    ['perplexity', { text: '' }, 'line 2: expected text'],
    ['json', { question: 'q' }, 'line 2: expected question, schema'],
  ])('of a wrong form are named with file and line: %s %j', (type, line, says) => {
    const path = join(temporaryFolder(), 'bad.jsonl');
    writeFileSync(path, `\n${JSON.stringify(line)}\n`);
    expect(() => loadTaskFlag(`${path}:${type}`)).toThrow(`bad.jsonl, ${says}`);
    writeFileSync(path, '{"question":');
    expect(() => loadTaskFlag(`${path}:${type}`)).toThrow('bad.jsonl, line 1: is not JSON.');
  });

  it.each([
    ['x.jsonl', '--task must be FILE:type'],
    ['x.jsonl:riddles', 'the type one of exact, code, choices, perplexity, json'],
    ['x.jsonl:exact:best', '"best" is none of after-hashes, last-number'],
    ['x.jsonl:choices:best', 'only exact and code take a third part'],
    ['no/such.jsonl:exact', 'the file no/such.jsonl cannot be read (ENOENT)'],
  ])('that no flag can mean are refused: %s', (text, says) => {
    expect(() => loadTaskFlag(text)).toThrow(says);
  });

  it.each<[unknown, string]>([
    [[], 'Too small'],
    [[{ name: 'a', file: 'a.jsonl', type: 'riddle' }], '0.type'],
    [[{ name: 'a b', file: 'a.jsonl', type: 'exact' }], '0.name: must be of letters'],
    [[{ name: 'a', file: 'a.jsonl', type: 'exact', shots: 8 }], 'shots'],
    [
      [
        { name: 'a', file: 'a.jsonl', type: 'exact' },
        { name: 'a', file: 'a.jsonl', type: 'exact' },
      ],
      'there are two tasks "a"',
    ],
  ])('listed wrongly are refused with the field: %j', (content, says) => {
    const path = join(temporaryFolder(), 'tasks.json');
    writeFileSync(path, JSON.stringify(content));
    expect(() => loadTaskFile(path)).toThrow(says);
  });

  it('that run what a model wrote are refused unless that is allowed', () => {
    const line = { prompt: 'def f():\n', test: 'def check(f): pass', entry_point: 'f' };
    const path = writeLines(join(temporaryFolder(), 'human-eval.jsonl'), [line]);
    const tasks = [loadTaskFlag(`${path}:code:python`)];
    expect(() => assertMayRun(tasks, false)).toThrow('human-eval runs code that the model wrote; --run-code');
    expect(() => assertMayRun(tasks, true)).not.toThrow();
    expect(() => assertMayRun([loadTaskFlag(`${path}:code:typescript`)], false)).not.toThrow();
  });
});
