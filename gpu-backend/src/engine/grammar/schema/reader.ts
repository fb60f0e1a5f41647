import { GRAMMAR_LIMITS, refuse } from '../refuse.ts';
import { ANNOTATIONS, SUPPORTED_KEYWORDS } from './keywords.ts';

export type SchemaObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One object schema at its place; reads keywords and says in its errors where they stand. */
export class SchemaReader {
  readonly schema: SchemaObject;
  readonly path: string;
  readonly depth: number;

  constructor(schema: SchemaObject, path: string, depth: number) {
    this.schema = schema;
    this.path = path;
    this.depth = depth;
    if (depth > GRAMMAR_LIMITS.depth)
      throw this.wrong(`is nested more than ${GRAMMAR_LIMITS.depth} levels deep`);
    for (const keyword of Object.keys(schema)) {
      if (ANNOTATIONS.has(keyword) || Object.hasOwn(SUPPORTED_KEYWORDS, keyword)) continue;
      if (keyword === '$id' && path === '#') continue; // nothing is ever fetched by it
      throw this.wrong(
        `uses "${keyword}", which is not supported; supported are ${Object.keys(SUPPORTED_KEYWORDS).join(', ')}`,
      );
    }
  }

  wrong(what: string): Error {
    return refuse(`The JSON schema at ${this.path} ${what}.`);
  }

  has(keyword: string): boolean {
    return Object.hasOwn(this.schema, keyword);
  }

  get(keyword: string): unknown {
    return this.has(keyword) ? this.schema[keyword] : undefined;
  }

  /** Refuses any keyword beside `keyword` that asserts something, but those that are `allowed`. */
  refuseBeside(keyword: string, allowed: readonly string[] = []): void {
    const free = [keyword, '$id', '$defs', 'definitions', ...allowed];
    const other = Object.keys(this.schema).find((key) => !ANNOTATIONS.has(key) && !free.includes(key));
    if (other !== undefined) throw this.wrong(`has "${other}" beside "${keyword}", which is not supported`);
  }

  number(keyword: string): number | undefined {
    const value = this.get(keyword);
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
    throw this.wrong(`has a "${keyword}" that is not a number`);
  }

  count(keyword: string): number | undefined {
    const value = this.number(keyword);
    if (value === undefined) return undefined;
    if (!Number.isInteger(value) || value < 0) throw this.wrong(`has a "${keyword}" that is not a count`);
    if (value <= GRAMMAR_LIMITS.repeat) return value;
    throw this.wrong(`has a "${keyword}" of ${value}; at most ${GRAMMAR_LIMITS.repeat} is supported`);
  }

  /** [min, max], of which `max` may be absent. */
  counts(minKeyword: string, maxKeyword: string): readonly [number, number?] {
    const min = this.count(minKeyword) ?? 0;
    const max = this.count(maxKeyword);
    if (max !== undefined && max < min) throw this.wrong(`has a "${maxKeyword}" below its "${minKeyword}"`);
    return max === undefined ? [min] : [min, max];
  }

  string(keyword: string): string | undefined {
    const value = this.get(keyword);
    if (value === undefined || typeof value === 'string') return value;
    throw this.wrong(`has a "${keyword}" that is not a string`);
  }

  list(keyword: string): readonly unknown[] | undefined {
    const value = this.get(keyword);
    if (value === undefined || Array.isArray(value)) return value as readonly unknown[] | undefined;
    throw this.wrong(`has a "${keyword}" that is not a list`);
  }

  /** A list of at least one schema. */
  branches(keyword: string): readonly unknown[] {
    const branches = this.list(keyword) ?? [];
    if (branches.length === 0) throw this.wrong(`has an empty "${keyword}"`);
    return branches;
  }

  strings(keyword: string): readonly string[] {
    const values = this.list(keyword) ?? [];
    if (values.every((value) => typeof value === 'string')) return values;
    throw this.wrong(`has a "${keyword}" that is not a list of strings`);
  }

  object(keyword: string): SchemaObject | undefined {
    const value = this.get(keyword);
    if (value === undefined || isObject(value)) return value;
    throw this.wrong(`has a "${keyword}" that is not an object`);
  }
}
