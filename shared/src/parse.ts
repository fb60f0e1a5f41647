import type { z } from 'zod';
import { TidarError } from './errors.ts';
import { parseJsonText, pathName } from './json.ts';

type Issue = z.core.$ZodIssue;
/** As it stands, or in escapes. */
const MAY_NAME_PROTO = /__proto__|\\u/;

/** Parses what came from outside; what does not fit is refused by the name of the parameter. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  throw first === undefined ? new TidarError('invalid_request', 'The request is not valid.') : refusal(first);
}

/** Parses JSON text, then its value. */
export function parseJson<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  const value = parseJsonText(text);
  const parsed = parse(schema, value);
  if (MAY_NAME_PROTO.test(text)) assertKept(value, parsed, []);
  return parsed;
}

/** zod's records lose a field that is called __proto__: it is refused where it would be lost. */
function assertKept(given: unknown, parsed: unknown, path: readonly PropertyKey[]): void {
  if (!isObject(given)) return;
  for (const key of Object.keys(given)) {
    const kept: unknown = isObject(parsed) && Object.hasOwn(parsed, key) ? parsed[key] : undefined;
    const place = [...path, Array.isArray(given) ? Number(key) : key];
    if (key !== '__proto__' || kept !== undefined) assertKept(given[key], kept, place);
    else throw unknownParameter(place);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

function unknownParameter(path: readonly PropertyKey[]): TidarError {
  const param = pathName(path);
  return new TidarError('unknown_parameter', `Unknown parameter: '${param}'.`, { param });
}

function refusal(outer: Issue): TidarError {
  const { issue, path } = deepest(outer, outer.path);
  if (issue.code === 'unrecognized_keys') {
    return unknownParameter([...path, issue.keys[0] ?? '']);
  }
  const param = pathName(path);
  const reason = reasonOf(issue);
  if (param === '') return new TidarError('invalid_request', `The body is not valid: ${reason}.`);
  return new TidarError('invalid_request', `Invalid value for '${param}': ${reason}.`, { param });
}

/** zod's own words, where a schema has none, as a person would say them. */
function reasonOf(issue: Issue): string {
  const [inner] = issue.code === 'invalid_key' ? issue.issues : [];
  if (inner !== undefined) return `its name: ${reasonOf(inner)}`;
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input')
    return alternativesOf(issue.errors);
  return issue.message
    .replace(/^Invalid input: /, '')
    .replace(/, received undefined$/, ', and there is none');
}

function alternativesOf(branches: readonly (readonly Issue[])[]): string {
  const reasons = branches.flatMap(([issue]) => (issue === undefined ? [] : [reasonOf(issue)]));
  return [...new Set(reasons)].join('; or ');
}

/** Of a union, the branch that came furthest says the most. */
function deepest(issue: Issue, path: PropertyKey[]): { issue: Issue; path: PropertyKey[] } {
  if (issue.code !== 'invalid_union') return { issue, path };
  const branches = issue.errors.filter((issues) => !issues.some(isWrongShape));
  const [branch] = branches.length === 1 ? branches : [];
  const inner = branch?.[0];
  return inner === undefined ? { issue, path } : deepest(inner, [...path, ...inner.path]);
}

const isWrongShape = (issue: Issue): boolean =>
  issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
