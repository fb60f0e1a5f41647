/** `npm run api-reference`: writes docs/api-reference.md from the schemas that check the requests. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { extensionOf, type JsonSchema, openApiDocument, requestSchemas } from '../edge/src/openai/openapi.ts';

export const REFERENCE_PATH = path.join(import.meta.dirname, '..', 'docs', 'api-reference.md');

interface Operation {
  summary: string;
}

/** The page as Markdown. */
export async function apiReference(): Promise<string> {
  const { ChatCompletionRequest: chat = {}, CompletionRequest: completion = {} } = requestSchemas();
  const parts = [
    '# API reference',
    'Written by `npm run api-reference` from the schemas that check the requests; [the API](api.md) says what they do. ' +
      'The same as an OpenAPI 3.1 document: `GET /openapi.json`.',
    table(['route', 'what'], routes()),
    ...section('`POST /v1/chat/completions`', chat),
    ...section('`POST /v1/completions`', completion),
    '## The `tidar` object',
    parameters(extensionOf(chat.properties ?? {})),
  ];
  return format(parts.join('\n\n'), { parser: 'markdown', printWidth: 110, proseWrap: 'preserve' });
}

function routes(): string[][] {
  const paths = openApiDocument().paths as Record<string, Record<string, Operation>>;
  return Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, { summary }]) => [`\`${method.toUpperCase()} ${route}\``, summary]),
  );
}

function section(title: string, { properties = {}, required }: JsonSchema): string[] {
  const entries = Object.entries(properties);
  const refused = entries.filter(([, { type }]) => type === 'null').map(([name]) => `\`${name}\``);
  const taken = Object.fromEntries(entries.filter(([, { type }]) => type !== 'null'));
  return [
    `## ${title}`,
    parameters(taken, required as string[]),
    `Refused by name, unless null: ${refused.join(', ')}.`,
  ];
}

function parameters(properties: Record<string, JsonSchema>, required: readonly string[] = []): string {
  const rows = Object.entries(properties).map(([name, schema]) => [
    `\`${name}\`${required.includes(name) ? ' (required)' : ''}`,
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
