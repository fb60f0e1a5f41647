import type { Random } from '../chaos/random.ts';
import { isRecord } from './judge.ts';

type Step = string | number;
export interface Mutation {
  /** The body as it is sent. */
  text: string;
  /** The field that was changed, as the API names it. */
  at: string;
  what: string;
}

/** Stands in a value for text that no value stringifies to. */
const RAW = '@raw@';
const raw = (text: string): Hostile => ({ what: text.slice(0, 24), value: RAW, raw: text });
const plain = (value: unknown, what = JSON.stringify(value) ?? 'nothing'): Hostile => ({
  what: what.slice(0, 24),
  value,
});

interface Hostile {
  what: string;
  value: unknown;
  raw?: string;
}

const nested = (depth: number, open: string, close: string): Hostile => ({
  ...raw(`${open.repeat(depth)}1${close.repeat(depth)}`),
  what: `${depth} levels of ${open}`,
});

const NUMBERS: readonly Hostile[] = [
  ...[-1, -0.5, 0, 0.5, 1, 2, 2.5, 3, 17, 21, 65, 101, 129, 257, 1e6, 2 ** 31, 2 ** 32, 2 ** 53].map(
    (value) => plain(value),
  ),
  ...[
    '-0',
    '1e999',
    '-1e999',
    '1e-400',
    '1e-320',
    '5e-324',
    '0.9999999999999999',
    '1E308',
    '99999999999999999999999999',
    '-99999999999999999999',
    '1.0',
    '0.1e1',
  ].map(raw),
];
const STRINGS: readonly Hostile[] = [
  ...[
    '',
    ' ',
    'a',
    'null',
    'true',
    '1',
    '-1',
    '__proto__',
    'constructor',
    'toString',
    '\u0000',
    '\n',
    '\u202e',
    '﻿',
    '💥',
  ].map((value) => plain(value)),
  plain('x'.repeat(600), 'a string of 600'),
  plain('y'.repeat(70_000), 'a string of 70000'),
  raw(String.raw`"\ud800"`),
  raw(String.raw`"a\udfff\ud800b"`),
  raw(String.raw`"\uD83D\uDE00"`),
];
const LISTS: readonly Hostile[] = [
  plain([]),
  plain([null]),
  plain([[]]),
  plain([{}]),
  plain(['a', 1]),
  plain([-1]),
  plain(
    Array.from({ length: 300 }, (_, index) => index),
    'a list of 300',
  ),
  plain(
    Array.from({ length: 20_000 }, () => 1),
    'a list of 20000',
  ),
  plain(
    Array.from({ length: 40 }, () => 'a'),
    'a list of 40 texts',
  ),
];
const OBJECTS: readonly Hostile[] = [
  plain({}),
  plain({ a: 1 }),
  plain({ type: 'text' }),
  plain({ type: 'nothing' }),
  plain({ '': '' }),
  raw('{"__proto__":{"polluted":true}}'),
  raw('{"constructor":{"prototype":{"polluted":true}}}'),
  plain(
    Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`k${index}`, 1])),
    'an object of 3000',
  ),
];
const DEEP: readonly Hostile[] = [
  nested(40, '[', ']'),
  nested(127, '[', ']'),
  nested(200, '{"a":', '}'),
  nested(5_000, '[', ']'),
  nested(100_000, '[', ']'),
  nested(20_000, '{"a":', '}'),
];
const OTHERS: readonly Hostile[] = [plain(null), plain(true), plain(false)];
const FAMILIES = [NUMBERS, STRINGS, LISTS, OBJECTS, DEEP, OTHERS] as const;
const NEW_NAMES = [
  'heat',
  'Model',
  'stream ',
  '__proto__',
  'constructor',
  'toString',
  '',
  'ключ',
  'x'.repeat(300),
  '0',
  'a.b',
  "it's",
];

/** One change to a valid body, anywhere in it. */
export function mutate(random: Random, body: unknown): Mutation {
  const paths = pathsOf(body);
  const path = random.pick(paths);
  const here = valueAt(body, path);
  const roll = random.next();
  if (roll < 0.12 && isRecord(here)) return added(random, body, path);
  if (roll < 0.2 && path.length > 0) return removed(body, path);
  const hostile = random.pick(random.pick(FAMILIES));
  const changed = path.length === 0 ? hostile.value : replaced(body, path, hostile.value);
  return {
    text: textOf(changed, hostile),
    at: nameOf(path),
    what: `${nameOf(path) || 'the body'} as ${hostile.what}`,
  };
}

function added(random: Random, body: unknown, path: readonly Step[]): Mutation {
  const name = random.pick(NEW_NAMES);
  const at = nameOf([...path, name]);
  // By hand: an assignment to __proto__ makes no field.
  const fields = JSON.stringify(valueAt(body, path)).slice(1, -1);
  const object = `{${fields}${fields === '' ? '' : ','}${JSON.stringify(name)}:1}`;
  const changed = path.length === 0 ? RAW : replaced(body, path, RAW);
  return { text: textOf(changed, { raw: object }), at, what: `a field ${at.slice(0, 40)}` };
}

function removed(body: unknown, path: readonly Step[]): Mutation {
  const changed = structuredClone(body);
  const parent = valueAt(changed, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isRecord(parent)) delete parent[String(last)];
  const at = nameOf(Array.isArray(parent) ? path.slice(0, -1) : path);
  return { text: JSON.stringify(changed), at, what: `no ${nameOf(path)}` };
}

const textOf = (value: unknown, { raw: text }: { raw?: string }): string =>
  text === undefined ? JSON.stringify(value) : JSON.stringify(value).replace(JSON.stringify(RAW), () => text);

/** The root first, then everything in it. */
function pathsOf(value: unknown, path: readonly Step[] = []): (readonly Step[])[] {
  const keys: Step[] = Array.isArray(value)
    ? value.slice(0, 4).map((_, index) => index)
    : isRecord(value)
      ? Object.keys(value)
      : [];
  return [path, ...keys.flatMap((key) => pathsOf(valueAt(value, [key]), [...path, key]))];
}

function valueAt(value: unknown, path: readonly Step[]): unknown {
  return path.reduce<unknown>((inner, step) => {
    if (Array.isArray(inner)) return (inner as unknown[])[Number(step)];
    return isRecord(inner) ? inner[String(step)] : undefined;
  }, value);
}

function replaced(body: unknown, path: readonly Step[], value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (Array.isArray(body))
    return body.map((item: unknown, index) => (index === step ? replaced(item, rest, value) : item));
  if (!isRecord(body)) return value;
  return { ...body, [step]: replaced(body[String(step)], rest, value) };
}

/** `messages[0].content`. */
export function nameOf(path: readonly Step[]): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`;
    return name === '' ? step : `${name}.${step}`;
  }, '');
}

/** How deep lists and objects lie in each other: 1 for a flat one. */
export function depthOf(text: string): number {
  let [depth, most] = [0, 0];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/gs)) {
    if (token === '[' || token === '{') most = Math.max(most, (depth += 1));
    else if (token === ']' || token === '}') depth -= 1;
  }
  return most;
}

/** Whether any text in it, names included, holds half of a surrogate pair. */
export function isIllFormed(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed();
  if (Array.isArray(value)) return value.some(isIllFormed);
  return (
    isRecord(value) && Object.entries(value).some(([key, inner]) => !key.isWellFormed() || isIllFormed(inner))
  );
}
