import type { z } from 'zod';
import { TidarError } from './errors.ts';
import { parseJsonText, pathName } from './json.ts';

type Issue = z.core.$ZodIssue;

/** Parses what came from outside; what does not fit is refused by the name of the parameter. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  throw first === undefined ? new TidarError('invalid_request', 'The request is not valid.') : refusal(first);
}

/** Parses JSON text, then its value. */
export function parseJson<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  return parse(schema, parseJsonText(text));
}

function refusal(outer: Issue): TidarError {
  const { issue, path } = deepest(outer, outer.path);
  if (issue.code === 'unrecognized_keys') {
    const param = pathName([...path, issue.keys[0] ?? '']);
    return new TidarError('unknown_parameter', `Unknown parameter: '${param}'.`, { param });
  }
  const param = pathName(path);
  const reason = reasonOf(issue);
  if (param === '') return new TidarError('invalid_request', `The body is not valid: ${reason}.`);
  return new TidarError('invalid_request', `Invalid value for '${param}': ${reason}.`, { param });
}

/** zod's own words, where a schema has none, as a person would say them. */
function reasonOf({ message }: Issue): string {
  return message
    .replace(/^Invalid input: /, '')
    .replace(/, received undefined$/, ', and there is none')
    .replace(/^Invalid input$/, 'expected something else');
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
