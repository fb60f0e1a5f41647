import type { Expression, Grammar, Rule } from '../expression.ts';
import { choice, MAX_CODE_POINT, repeat, ROOT, rule, sequence, text } from '../expression.ts';
import {
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  BOOLEAN,
  inJsonString,
  jsonChars,
  jsonLiteral,
  jsonRules,
  NULL,
} from '../json.ts';
import { GRAMMAR_LIMITS, refuse, quoted } from '../refuse.ts';
import { anyMatch, wholeMatch } from '../regex.ts';
import { areDisjoint } from './disjoint.ts';
import { FORMATS } from './formats.ts';
import type { Bound } from './numbers.ts';
import { integerBetween, numberBetween } from './numbers.ts';
import { arrayOf, objectOf } from './objects.ts';
import { isObject, SchemaReader } from './reader.ts';
import type { JsonType } from './types.ts';
import { hasType, readTypes } from './types.ts';

/** JSON of any shape whose outermost value is an object. */
export function jsonObjectGrammar(): Grammar {
  return new Map([[ROOT, { body: ANY_OBJECT }], ...jsonRules()]);
}

/** The JSON texts that a schema allows, in the form of json.ts. */
export function schemaGrammar(schema: unknown): Grammar {
  return new SchemaConverter(schema).grammar();
}

class SchemaConverter {
  readonly #schema: unknown;
  readonly #rules = new Map<string, Rule>(jsonRules());
  readonly #references = new Map<string, Expression>();

  constructor(schema: unknown) {
    this.#schema = schema;
  }

  grammar(): Grammar {
    const body = this.#reference('#', 0);
    return new Map<string, Rule>([[ROOT, { body }], ...this.#rules]);
  }

  readonly #define = (body: Expression): Expression => {
    const name = `schema ${this.#rules.size}`;
    this.#rules.set(name, { body });
    return rule(name);
  };

  #convert(schema: unknown, path: string, depth: number): Expression {
    if (schema === true) return ANY_VALUE;
    if (schema === false) throw refuse(`The JSON schema at ${path} is false, which no value satisfies.`);
    if (!isObject(schema)) throw refuse(`The JSON schema at ${path} is neither an object nor true or false.`);
    const reader = new SchemaReader(schema, path, depth);
    this.#checkDefinitions(reader);
    if (reader.has('$ref')) return this.#convertReference(reader);
    if (reader.has('const')) return this.#convertConstants(reader, 'const', [reader.get('const')]);
    if (reader.has('enum')) return this.#convertConstants(reader, 'enum', reader.branches('enum'));
    for (const keyword of ['anyOf', 'oneOf', 'allOf'] as const) {
      if (reader.has(keyword)) return this.#convertBranches(reader, keyword);
    }
    return choice(...readTypes(reader).map((type) => this.#convertType(reader, type)));
  }

  /** Definitions that nothing refers to are checked all the same. */
  #checkDefinitions(reader: SchemaReader): void {
    for (const keyword of ['$defs', 'definitions']) {
      for (const [name, schema] of Object.entries(reader.object(keyword) ?? {})) {
        if (isObject(schema))
          void new SchemaReader(schema, `${reader.path}/${keyword}/${name}`, reader.depth);
      }
    }
  }

  #convertReference(reader: SchemaReader): Expression {
    reader.refuseBeside('$ref');
    const target = reader.string('$ref') ?? '';
    if (target === '#' || target.startsWith('#/')) return this.#reference(target, reader.depth + 1);
    throw reader.wrong(`refers to ${quoted(target)}; only "#" and "#/…" within the schema are supported`);
  }

  #reference(pointer: string, depth: number): Expression {
    const known = this.#references.get(pointer);
    if (known !== undefined) return known;
    const name = `the JSON schema at ${pointer}`;
    this.#references.set(pointer, rule(name)); // before its body, which may refer to it
    this.#rules.set(name, { body: this.#convert(this.#lookUp(pointer), pointer, depth) });
    return rule(name);
  }

  #lookUp(pointer: string): unknown {
    let target = this.#schema;
    for (const part of pointer.split('/').slice(1)) {
      const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~');
      const isThere = typeof target === 'object' && target !== null && Object.hasOwn(target, key);
      if (!isThere) throw refuse(`The JSON schema refers to ${quoted(pointer)}, which it does not hold.`);
      target = (target as Record<string, unknown>)[key];
    }
    return target;
  }

  #convertConstants(reader: SchemaReader, keyword: string, values: readonly unknown[]): Expression {
    reader.refuseBeside(keyword, ['type']);
    const types = readTypes(reader);
    const literals = values.filter((value) => hasType(value, types)).map(jsonLiteral);
    if (literals.length === 0) throw reader.wrong(`has no value of its "type" in "${keyword}"`);
    return choice(...literals);
  }

  #convertBranches(reader: SchemaReader, keyword: 'anyOf' | 'oneOf' | 'allOf'): Expression {
    reader.refuseBeside(keyword);
    const branches = reader.branches(keyword);
    if (keyword === 'allOf' && branches.length > 1) {
      throw reader.wrong('has an "allOf" of several schemas, which is not supported; merge them into one');
    }
    const converted = branches
      .map((branch, i): [unknown, string] => [branch, `${reader.path}/${keyword}/${i}`])
      .filter(([branch]) => branch !== false)
      .map(([branch, path]) => this.#convert(branch, path, reader.depth + 1));
    if (converted.length === 0)
      throw reader.wrong(`has only false in "${keyword}", which no value satisfies`);
    if (keyword === 'oneOf') this.#checkDisjoint(reader, branches);
    return choice(...converted);
  }

  #checkDisjoint(reader: SchemaReader, branches: readonly unknown[]): void {
    const possible = branches.filter((branch) => branch !== false);
    const isClear = possible.every((a, i) =>
      possible.slice(i + 1).every((b) => areDisjoint(a, b, this.#resolve)),
    );
    if (isClear) return;
    throw reader.wrong(
      'has a "oneOf" whose branches may match the same value; supported are branches of different types, or with ' +
        'different constants in a member that each requires. If any branch may match, use "anyOf"',
    );
  }

  /** For comparisons only: what is wrong with a schema has been said when it was converted. */
  readonly #resolve = (schema: unknown): SchemaReader | undefined => {
    let target = schema;
    for (let numHops = 0; isObject(target) && numHops < this.#numHopsMost; numHops++) {
      const reader = new SchemaReader(target, '#', 0);
      const pointer = reader.string('$ref');
      if (pointer === undefined) return reader;
      if (!pointer.startsWith('#')) return undefined;
      target = this.#lookUp(pointer);
    }
    return undefined;
  };
  readonly #numHopsMost = 16;

  #convertType(reader: SchemaReader, type: JsonType): Expression {
    switch (type) {
      case 'null':
        return NULL;
      case 'boolean':
        return BOOLEAN;
      case 'integer':
        return integerBetween(readBounds(reader));
      case 'number':
        return numberBetween(readBounds(reader));
      case 'string':
        return convertString(reader);
      case 'array':
        return this.#convertArray(reader);
      case 'object':
        return this.#convertObject(reader);
    }
  }

  #convertArray(reader: SchemaReader): Expression {
    const counts = reader.counts('minItems', 'maxItems');
    const { path, depth } = reader;
    const isPlain = !['items', 'prefixItems', 'minItems', 'maxItems'].some((keyword) => reader.has(keyword));
    if (isPlain) return ANY_ARRAY;
    const prefix = (reader.list('prefixItems') ?? []).map((item, i) =>
      this.#convert(item, `${path}/prefixItems/${i}`, depth + 1),
    );
    // A tuple ends with its last place, unless the schema says what follows.
    const items = reader.has('items') ? reader.get('items') : prefix.length === 0;
    const item = items === false ? undefined : this.#define(this.#convert(items, `${path}/items`, depth + 1));
    const array = arrayOf(prefix, item, counts, this.#define);
    if (array === undefined) throw reader.wrong('asks for more items than it allows');
    return array;
  }

  #checkNames(reader: SchemaReader, names: readonly string[]): void {
    const long = names.find((name) => name.length > GRAMMAR_LIMITS.nameLength);
    if (long === undefined) return;
    throw reader.wrong(
      `has the name "${long.slice(0, 20)}…", which is longer than ${GRAMMAR_LIMITS.nameLength} characters`,
    );
  }

  #convertObject(reader: SchemaReader): Expression {
    const { path, depth } = reader;
    const properties = reader.object('properties') ?? {};
    const required = new Set(reader.strings('required'));
    const names = Object.keys(properties);
    this.#checkNames(reader, [...names, ...required]);
    const additional = reader.get('additionalProperties');
    // An object that lists its properties is closed, unless the schema says what else it holds.
    const isClosed = additional === false || (additional === undefined && names.length > 0);
    if (names.length === 0 && required.size === 0 && (additional === undefined || additional === true))
      return ANY_OBJECT;
    const others = isClosed
      ? undefined
      : this.#define(this.#convert(additional ?? true, `${path}/additionalProperties`, depth + 1));
    const unlisted = [...required].filter((name) => !names.includes(name));
    if (unlisted.length > 0 && additional === false) {
      throw reader.wrong(`requires "${unlisted[0]}", which "additionalProperties": false forbids`);
    }
    const members = names
      .filter((name) => properties[name] !== false || required.has(name))
      .map((name) => ({
        key: name,
        value: this.#convert(properties[name], `${path}/properties/${name}`, depth + 1),
        isRequired: required.has(name),
      }));
    const forbidden = names.filter((name) => properties[name] === false && !required.has(name));
    const extra = unlisted.map((key) => ({ key, value: others ?? ANY_VALUE, isRequired: true }));
    return objectOf([...members, ...extra], others, this.#define, forbidden);
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The tighter of the inclusive and the exclusive bound. */
function readBounds(reader: SchemaReader): { min: Bound | undefined; max: Bound | undefined } {
  const tighter = (keyword: string, exclusiveKeyword: string, sign: 1 | -1): Bound | undefined => {
    const [inclusive, exclusive] = [reader.number(keyword), reader.number(exclusiveKeyword)];
    if (exclusive === undefined)
      return inclusive === undefined ? undefined : { value: inclusive, isExclusive: false };
    const isExclusive = inclusive === undefined || sign * exclusive >= sign * inclusive;
    return { value: isExclusive ? exclusive : inclusive, isExclusive };
  };
  return { min: tighter('minimum', 'exclusiveMinimum', 1), max: tighter('maximum', 'exclusiveMaximum', -1) };
}

const STRING_KEYWORDS = ['pattern', 'format', 'minLength', 'maxLength'];

function convertString(reader: SchemaReader): Expression {
  const [keyword, other] = STRING_KEYWORDS.filter((name) => reader.has(name));
  if (keyword === undefined) return ANY_STRING;
  if (other !== undefined && keyword !== 'minLength') {
    throw reader.wrong(`has "${other}" beside "${keyword}", which is not supported`);
  }
  return sequence(text('"'), stringContent(reader, keyword), text('"'));
}

function stringContent(reader: SchemaReader, keyword: string): Expression {
  if (keyword === 'pattern') return inJsonString(anyMatch(reader.string('pattern') ?? ''));
  if (keyword !== 'format') {
    const [min, max] = reader.counts('minLength', 'maxLength');
    return repeat(jsonChars([[0, MAX_CODE_POINT]]), min, max);
  }
  const format = reader.string('format') ?? '';
  const pattern = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (pattern !== undefined) return inJsonString(wholeMatch(pattern));
  throw reader.wrong(
    `has the format ${quoted(format)}, which is not supported; supported are ${Object.keys(FORMATS).join(', ')}`,
  );
}
