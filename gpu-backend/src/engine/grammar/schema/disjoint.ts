import type { SchemaReader } from './reader.ts';
import type { JsonType } from './types.ts';
import { readTypes, typeOf } from './types.ts';

/** Reads the object schema at a place, following $ref; undefined for `true`, `false` and circles. */
export type Resolve = (schema: unknown) => SchemaReader | undefined;

/** Whether it is plain to see that no value satisfies both schemas: by types, by constants, or by a constant member. */
export function areDisjoint(a: unknown, b: unknown, resolve: Resolve): boolean {
  const [first, second] = [resolve(a), resolve(b)];
  if (first === undefined || second === undefined) return false;
  return differPlainly(first, second) || haveDiscriminator(first, second, resolve);
}

/** By constants where both have them, else by types. */
function differPlainly(a: SchemaReader, b: SchemaReader): boolean {
  const [valuesA, valuesB] = [constants(a), constants(b)];
  if (valuesA !== undefined && valuesB !== undefined)
    return !valuesA.some((value) => valuesB.includes(value));
  const [kindsA, kindsB] = [kinds(a), kinds(b)];
  return kindsA !== undefined && kindsB !== undefined && !kindsA.some((kind) => kindsB.includes(kind));
}

function constants(reader: SchemaReader): string[] | undefined {
  if (reader.has('const')) return [JSON.stringify(reader.get('const'))];
  return reader.list('enum')?.map((value) => JSON.stringify(value));
}

/** Types that a value may have, with `integer` counted as `number`; undefined where it takes more to tell. */
function kinds(reader: SchemaReader): JsonType[] | undefined {
  const asKind = (type: JsonType): JsonType => (type === 'integer' ? 'number' : type);
  if (reader.has('const')) return [asKind(typeOf(reader.get('const')))];
  const values = reader.list('enum');
  if (values !== undefined) return values.map((value) => asKind(typeOf(value)));
  if (['anyOf', 'oneOf', 'allOf', '$ref'].some((keyword) => reader.has(keyword))) return undefined;
  return readTypes(reader).map(asKind);
}

/** Objects with a member that both require, and that differs plainly. */
function haveDiscriminator(a: SchemaReader, b: SchemaReader, resolve: Resolve): boolean {
  const areObjects = [a, b].every((reader) => kinds(reader)?.every((kind) => kind === 'object'));
  if (!areObjects) return false;
  const shared = a.strings('required').filter((key) => b.strings('required').includes(key));
  return shared.some((key) => {
    const [first, second] = [a, b].map((reader) => resolve(property(reader, key)));
    return first !== undefined && second !== undefined && differPlainly(first, second);
  });
}

function property(reader: SchemaReader, key: string): unknown {
  const properties = reader.object('properties') ?? {};
  return Object.hasOwn(properties, key) ? properties[key] : undefined;
}
