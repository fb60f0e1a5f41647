import { isDeepStrictEqual } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { CHECKERS } from './checkers.ts';
import { hasAnswer, isSameAnswer } from './extractors.ts';
import type { ChoicesItem, GenerateItem, Item, TextItem } from './item.ts';
import type { TaskSpec, TaskType } from './spec.ts';

/** Turns a line of a task's file into an item; throws a sentence if the line is not of the task's form. */
type Adapter = (line: unknown, spec: TaskSpec) => Item;

export const ADAPTERS: Readonly<Record<TaskType, Adapter>> = {
  exact: exactItem,
  code: codeItem,
  choices: choicesItem,
  perplexity: textItem,
  json: jsonItem,
};

/** What a line should have been. */
export class LineError extends Error {}

const exactSchema = z.looseObject({ question: z.string(), answer: z.string() });

function exactItem(line: unknown, spec: TaskSpec): GenerateItem {
  const fields = parse(exactSchema, line, 'question and answer, both text');
  const { extractor } = spec;
  if (!hasAnswer(extractor, fields.answer))
    throw new LineError(`the extractor "${extractor}" finds no answer in its answer.`);
  return {
    type: 'generate',
    prompt: fill(spec.template ?? '{question}', fields),
    isRight: (text) => isSameAnswer(extractor, text, fields.answer),
  };
}

const codeSchema = z.looseObject({
  prompt: z.string(),
  canonical_solution: z.string().optional(),
  test: z.string().optional(),
  entry_point: z.string().regex(/^\w+$/).optional(),
});

function codeItem(line: unknown, spec: TaskSpec): GenerateItem {
  const fields = parse(codeSchema, line, 'prompt (text), and test and entry_point where code is run');
  const checker = CHECKERS[spec.checker];
  if (checker.runsCode && fields.test === undefined)
    throw new LineError(`the checker "${spec.checker}" needs a test.`);
  const problem = { prompt: fields.prompt, test: fields.test, entryPoint: fields.entry_point };
  return {
    type: 'generate',
    prompt: fill(spec.template ?? '{prompt}', fields),
    isRight: (text) => checker.isRight(problem, text),
  };
}

const ownChoicesSchema = z.looseObject({
  context: z.string(),
  choices: z.array(z.string().min(1)).min(2),
  answer: z.int().nonnegative(),
});
/** HellaSwag's fields; its labels are numbers or text. */
const hellaSwagSchema = z
  .looseObject({
    ctx: z.string(),
    endings: z.array(z.string().min(1)).min(2),
    label: z.union([z.int(), z.string().regex(/^\d+$/)]),
  })
  .transform(({ ctx, endings, label }) => ({
    context: ctx,
    choices: endings.map((ending) => ` ${ending}`),
    answer: Number(label),
  }));

function choicesItem(line: unknown, spec: TaskSpec): ChoicesItem {
  const wanted = 'context, choices and answer (an index), or ctx, endings and label';
  const fields = parse(z.union([ownChoicesSchema, hellaSwagSchema]), line, wanted);
  const { choices, answer } = fields;
  if (answer >= choices.length)
    throw new LineError(`its answer is ${answer}, and there are ${choices.length} choices.`);
  return { type: 'choices', context: fill(spec.template ?? '{context}', fields), choices, answer };
}

const textSchema = z.looseObject({ text: z.string().min(1) });

function textItem(line: unknown): TextItem {
  return { type: 'text', text: parse(textSchema, line, 'text').text };
}

const jsonSchema = z.looseObject({
  question: z.string(),
  schema: z.record(z.string(), z.unknown()),
  expected: z.unknown().optional(),
});

function jsonItem(line: unknown, spec: TaskSpec): GenerateItem {
  const fields = parse(jsonSchema, line, 'question, schema and, if its values count too, expected');
  const { schema, expected } = fields;
  let isValid: ((value: unknown) => boolean) | undefined; // compiling takes 10 ms
  return {
    type: 'generate',
    prompt: fill(spec.template ?? '{question}', fields),
    grammar: { type: 'json_schema', schema },
    isRight: (text) => {
      const value = parseJson(text);
      isValid ??= new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
      return (
        value !== undefined &&
        isValid(value) &&
        (expected === undefined || isDeepStrictEqual(value, expected))
      );
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // as no JSON is
  }
}

function parse<T>(schema: z.ZodType<T>, line: unknown, wanted: string): T {
  const parsed = schema.safeParse(line);
  if (parsed.success) return parsed.data;
  throw new LineError(`expected ${wanted}.`);
}

/** Puts a line's fields in their places; what is in a field is not read again. */
function fill(template: string, fields: Readonly<Record<string, unknown>>): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = fields[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : place;
  });
}
