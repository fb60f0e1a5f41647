/** `npm run api-reference`: writes docs/api-reference.md from the schemas that check the requests. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { adminBodies, extensionOf, OPERATIONS, requestSchemas } from '../edge/src/openapi/document.ts';
import { type JsonSchema, queryParameters } from '../edge/src/openapi/json-schema.ts';
import type { Operation } from '../edge/src/openapi/operation.ts';

export const REFERENCE_PATH = path.join(import.meta.dirname, '..', 'docs', 'api-reference.md');

/** The page as Markdown. */
export async function apiReference(): Promise<string> {
  const requests = requestSchemas();
  const bodies = adminBodies();
  const { ChatCompletionRequest: chat = {}, CompletionRequest: completion = {} } = requests;
  const { ResponseRequest: response = {} } = requests;
  const { KeySettings: settings = {}, Rotation: rotation = {}, NewToken: token = {} } = bodies;
  const shared = extensionOf(chat.properties ?? {});
  const parts = [
    '# API reference',
    'Written by `npm run api-reference` from the schemas that check the requests; [the API](api.md) says what they do. ' +
      'The same, and what is answered, as an OpenAPI 3.1 document: `GET /openapi.json`.',
    routes(),
    ...section('`POST /v1/chat/completions`', chat),
    ...section('`POST /v1/completions`', completion),
    ...section('`POST /v1/responses`', response),
    '## The `tidar` object',
    parameters(shared),
    'In `POST /v1/responses` also:',
    parameters(without(extensionOf(response.properties ?? {}), shared)),
    '## Queries',
    queries(),
    '## `POST /admin/keys`, `PATCH /admin/keys/{id}`',
    parameters(settings.properties ?? {}, settings.required),
    '## `POST /admin/keys/{id}/rotate`',
    parameters(rotation.properties ?? {}, rotation.required),
    '## `POST /admin/tokens`',
    parameters(token.properties ?? {}, token.required),
  ];
  return format(parts.join('\n\n'), { parser: 'markdown', printWidth: 110, proseWrap: 'preserve' });
}

function routes(): string {
  const rows = OPERATIONS.map(({ route, summary, access }) => [`\`${route}\``, whoOf(access), summary]);
  return table(['route', 'who', 'what'], rows);
}

function whoOf(access: Operation['access']): string {
  if (access === 'anybody') return 'anybody';
  if (access === 'key' || access === 'backend') return `a ${access}`;
  return access === 'any' ? 'an admin' : `an admin, \`${access}\``;
}

function queries(): string {
  const rows = OPERATIONS.flatMap(({ route, query }) => {
    if (query === undefined) return [];
    const all = queryParameters(query.schema, query.descriptions) as QueryParameter[];
    return all.map(({ name, schema, description }) => [
      `\`${route}\``,
      `\`${name}\``,
      rangeOf(schema),
      `${description}${defaultOf(schema)}`,
    ]);
  });
  return table(['route', 'parameter', 'values', 'what'], rows);
}

interface QueryParameter {
  name: string;
  schema: JsonSchema;
  description: string;
}

function defaultOf({ default: value }: JsonSchema): string {
  const isTelling = (typeof value === 'number' && value < Number.MAX_SAFE_INTEGER) || value === 'false';
  return isTelling ? ` By default ${String(value)}.` : '';
}

function without(
  all: Readonly<Record<string, JsonSchema>>,
  others: Readonly<Record<string, JsonSchema>>,
): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => others[name] === undefined));
}

function section(title: string, { properties = {}, required }: JsonSchema): string[] {
  const entries = Object.entries(properties);
  const refused = entries.filter(([, { type }]) => type === 'null').map(([name]) => `\`${name}\``);
  const taken = Object.fromEntries(entries.filter(([, { type }]) => type !== 'null'));
  return [`## ${title}`, parameters(taken, required), `Refused by name, unless null: ${refused.join(', ')}.`];
}

function parameters(properties: Record<string, JsonSchema>, required: unknown = []): string {
  const isRequired = (name: string): boolean => Array.isArray(required) && required.includes(name);
  const rows = Object.entries(properties).map(([name, schema]) => [
    `\`${name}\`${isRequired(name) ? ' (required)' : ''}`,
    rangeOf(schema),
    String(schema.description),
  ]);
  return table(['parameter', 'values', 'what'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
/** What a value may be, in a few words. */
function rangeOf(schema: JsonSchema): string {
  const branches = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (branches !== undefined) {
    const words = branches.filter(({ type }) => type !== 'null').map(rangeOf);
    return [...new Set(words)].join(', ');
  }
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  const type = Array.isArray(schema.type)
    ? schema.type.filter((name) => name !== 'null').join()
    : schema.type;
  return [words(type), bounds(schema)].filter((text) => text !== '').join(' ');
}

function words(type: unknown): string {
  if (type === 'array') return 'list';
  if (type === 'string') return 'text';
  return typeof type === 'string' ? type : 'any';
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  const isLimit = (value: unknown): value is number =>
    typeof value === 'number' && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  const limits = [
    isLimit(minimum) && `≥ ${minimum}`,
    isLimit(exclusiveMinimum) && `> ${exclusiveMinimum}`,
    isLimit(maximum) && `≤ ${maximum}`,
    isLimit(exclusiveMaximum) && `< ${exclusiveMaximum}`,
  ];
  return limits.filter((limit) => limit !== false).join(', ');
}

if (import.meta.main) writeFileSync(REFERENCE_PATH, await apiReference());
