import type { Random } from '../chaos/random.ts';
import { isRecord } from './judge.ts';
import type { Schema, Surface } from './surface.ts';

const WORDS = ['a', 'hello', 'abc def', 'once upon a time', '1+1=', 'what is it?'];
/** For patterns and formats: the first that fits is taken. */
const TEXTS = [
  ...WORDS,
  '5',
  '0',
  '2026-11-24',
  'https://client.test/x',
  'get_weather',
  '0'.repeat(16),
  '1:1',
];
/** What keeps a request small, or has it mean something. */
const BY_NAME: Readonly<Record<string, (random: Random) => unknown>> = {
  model: () => 'tiny-chat',
  max_tokens: (random) => random.whole(1, 4),
  max_completion_tokens: (random) => random.whole(1, 4),
  max_output_tokens: (random) => random.whole(1, 4),
  n: (random) => random.whole(1, 2),
  best_of: () => undefined,
  // Any object, by their schemas.
  chat_template_kwargs: () => ({}),
  parameters: () => ({ type: 'object', properties: { a: { type: 'string' } } }),
  schema: () => ({ type: 'string' }),
  name: (random) => `name_${random.whole(1, 1_000_000)}`,
  messages: (random) => random.pick(CONVERSATIONS),
  input: (random) => random.pick(['hello', ...CONVERSATIONS.slice(0, 2)]),
  arguments: () => '{}',
};
/** What one message may be depends on those before it, which no schema says. */
const user = { role: 'user', content: 'hello' };
const CONVERSATIONS = [
  [user],
  [{ role: 'system', content: 'be short' }, user],
  [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }],
  [user, { role: 'assistant', content: 'hi' }, { role: 'user', content: 'again' }],
];
const DEEPEST = 6;

/** A value that a schema allows, drawn from it; undefined where none was found. */
export function drawValid(random: Random, surface: Surface, schema: Schema): unknown {
  for (let tryIndex = 0; tryIndex < 6; tryIndex += 1) {
    const optional = tryIndex < 4 ? 0.2 : 0;
    const value = new Sampler(random, surface, optional).value(schema, '', 0);
    if (value !== undefined && surface.allows(schema, value)) return value;
  }
  return undefined;
}

class Sampler {
  readonly #random: Random;
  readonly #surface: Surface;
  /** How likely a field is there that need not be. */
  readonly #optional: number;

  constructor(random: Random, surface: Surface, optional: number) {
    this.#random = random;
    this.#surface = surface;
    this.#optional = optional;
  }

  value(given: Schema, name: string, depth: number): unknown {
    const schema = this.#surface.resolve(given);
    const known = BY_NAME[name];
    if (known !== undefined) return known(this.#random);
    if ('const' in schema) return schema['const'];
    if (Array.isArray(schema['enum'])) return this.#random.pick(schema['enum'] as unknown[]);
    const branches = [schema['anyOf'], schema['oneOf']].find((each) => Array.isArray(each));
    if (Array.isArray(branches)) return this.value(this.#branch(branches), name, depth);
    if (Array.isArray(schema['allOf'])) return this.#all(schema['allOf'], name, depth);
    return this.#ofType(typeOf(schema, this.#random), schema, depth);
  }

  /** Seldom null: it says nothing. */
  #branch(branches: readonly unknown[]): Schema {
    const all = branches.filter(isRecord);
    const rich = all.filter((branch) => branch['type'] !== 'null' && !('not' in branch));
    return this.#random.pick(rich.length > 0 && this.#random.chance(0.9) ? rich : all);
  }

  #all(parts: readonly unknown[], name: string, depth: number): unknown {
    const values = parts.filter(isRecord).map((part) => this.value(part, name, depth));
    return values.every(isRecord) ? Object.assign({}, ...values) : values[0];
  }

  #ofType(type: string, schema: Schema, depth: number): unknown {
    if (type === 'object') return this.#object(schema, depth);
    if (type === 'array') return this.#array(schema, depth);
    if (type === 'string') return this.#string(schema);
    if (type === 'integer' || type === 'number') return this.#number(schema, type === 'integer');
    if (type === 'boolean') return this.#random.chance(0.5);
    return null;
  }

  #object(schema: Schema, depth: number): unknown {
    const properties = isRecord(schema['properties']) ? schema['properties'] : {};
    const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : []);
    const chance = depth > DEEPEST ? 0 : this.#optional;
    const entries = Object.entries(properties)
      .filter(([key]) => required.has(key) || this.#random.chance(chance))
      .map(
        ([key, property]) => [key, this.value(isRecord(property) ? property : {}, key, depth + 1)] as const,
      )
      .filter(([, value]) => value !== undefined);
    const { additionalProperties: more } = schema;
    if (isRecord(more) && Object.keys(properties).length === 0 && this.#random.chance(0.7))
      entries.push([this.#fieldName(schema), this.value(more, '', depth + 1)]);
    return Object.fromEntries(entries);
  }

  /** Of an object that takes any, as far as their names go. */
  #fieldName({ propertyNames }: Schema): string {
    const found = isRecord(propertyNames) ? this.#string(propertyNames) : undefined;
    return typeof found === 'string' ? found : 'a';
  }

  #array(schema: Schema, depth: number): unknown {
    const { prefixItems, items, minItems, maxItems } = schema;
    if (Array.isArray(prefixItems))
      return prefixItems.filter(isRecord).map((item) => this.value(item, '', depth + 1));
    const least = typeof minItems === 'number' ? minItems : 0;
    const most = Math.min(typeof maxItems === 'number' ? maxItems : Infinity, least + 2);
    const length = depth > DEEPEST ? least : this.#random.whole(least, most);
    const values = Array.from({ length }, () => this.value(isRecord(items) ? items : {}, '', depth + 1));
    return values.filter((value) => value !== undefined);
  }

  #string({ pattern, minLength, maxLength, format }: Schema): unknown {
    const isRight = (text: string): boolean =>
      (typeof pattern !== 'string' || new RegExp(pattern, 'u').test(text)) &&
      (typeof minLength !== 'number' || text.length >= minLength) &&
      (typeof maxLength !== 'number' || text.length <= maxLength) &&
      (format !== 'uri' || text.startsWith('https:'));
    const right = TEXTS.filter(isRight);
    return right.length === 0 ? undefined : this.#random.pick(right);
  }

  #number(schema: Schema, isWhole: boolean): number {
    const bound = (name: string): number | undefined =>
      typeof schema[name] === 'number' ? schema[name] : undefined;
    const least = bound('minimum') ?? bound('exclusiveMinimum') ?? 0;
    const most = Math.min(bound('maximum') ?? bound('exclusiveMaximum') ?? Infinity, least + 4);
    const step = isWhole ? 1 : 0.5;
    const from = bound('exclusiveMinimum') === least ? least + step : Math.max(least, Math.min(0, most));
    return from + step * this.#random.whole(0, Math.max(0, Math.floor((most - from) / step)));
  }
}

function typeOf({ type, properties }: Schema, random: Random): string {
  if (Array.isArray(type)) return String(random.pick(type as unknown[]));
  if (typeof type === 'string') return type;
  return isRecord(properties) ? 'object' : 'string';
}
