import type { SchemaReader } from './reader.ts';
import { quoted } from '../refuse.ts';

export const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
export type JsonType = (typeof TYPES)[number];

const isType = (value: unknown): value is JsonType => TYPES.some((type) => type === value);

/** The schema's types; all where it names none. Integers are numbers, so `integer` beside `number` is left out. */
export function readTypes(reader: SchemaReader): readonly JsonType[] {
  const value = reader.get('type');
  const named: readonly unknown[] = value === undefined ? TYPES : Array.isArray(value) ? value : [value];
  const types = named.filter(isType);
  if (types.length !== named.length || types.length === 0) {
    throw reader.wrong(
      `has the type ${quoted(value)}; expected one of ${TYPES.join(', ')}, or a list of them`,
    );
  }
  return types.includes('number') ? types.filter((type) => type !== 'integer') : types;
}

/** The type of a value; a whole number is an integer. */
export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value as 'string' | 'boolean';
  return 'object';
}

export const hasType = (value: unknown, types: readonly JsonType[]): boolean => {
  const type = typeOf(value);
  return types.includes(type) || (type === 'integer' && types.includes('number'));
};
