import type { z } from 'zod';
import type { Scope } from '../directory/types.ts';
import { queryParameters } from './json-schema.ts';

/** One route of the edge, as its document tells of it. */
export interface Operation {
  route: `${'GET' | 'POST' | 'PATCH' | 'DELETE'} /${string}`;
  id: string;
  summary: string;
  /** Who may call it; of the admin API, with which scope (`any`: with any). */
  access: 'anybody' | 'key' | 'backend' | Scope | 'any';
  query?: { schema: z.ZodType; descriptions: Readonly<Record<string, string>> };
  /** What the id in its path is of. */
  pathId?: string;
  takesIdempotencyKey?: boolean;
  /** The name of its body's schema. */
  body?: string;
  /** By status; of 200 where nothing else is said. */
  answer: Answer;
}

interface Answer {
  status?: number;
  description: string;
  /** By media type; names of schemas. Absent: no body. */
  content?: Readonly<Record<string, readonly string[]>>;
}

export const json = (...names: string[]): Record<string, readonly string[]> => ({
  'application/json': names,
});

const ADMIN_TAG = 'Administration';
const TAGS = { anybody: 'For anybody', key: 'For holders of a key', backend: 'For backends' } as const;

export const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const errors = {
  default: { description: 'What went wrong.', content: { 'application/json': { schema: ref('Error') } } },
};
const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'The same request with the same key within 24 hours gets the same answer, billed once.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

/** The operation in the document's own form. */
export function rendered(operation: Operation): object {
  const { id, summary, access, body, answer } = operation;
  const scope = access === 'anybody' || access === 'key' || access === 'backend' ? undefined : access;
  const security = access === 'anybody' ? [] : [{ [scope === undefined ? access : 'admin']: [] }];
  const tag = access === 'anybody' || access === 'key' || access === 'backend' ? TAGS[access] : ADMIN_TAG;
  return {
    operationId: id,
    summary,
    tags: [tag],
    security,
    ...(scope === undefined ? {} : { 'x-scope': scope }),
    ...parametersOf(operation),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: ref(body) } } } }),
    responses: { [answer.status ?? 200]: answerOf(answer), ...errors },
  };
}

function parametersOf({ query, pathId, takesIdempotencyKey }: Operation): object {
  const id = { name: 'id', in: 'path', required: true, description: pathId, schema: { type: 'string' } };
  const parameters = [
    ...(pathId === undefined ? [] : [id]),
    ...(query === undefined ? [] : queryParameters(query.schema, query.descriptions)),
    ...(takesIdempotencyKey === true ? [IDEMPOTENCY_KEY] : []),
  ];
  return parameters.length === 0 ? {} : { parameters };
}

function answerOf({ description, content }: Answer): object {
  if (content === undefined) return { description };
  const schemaOf = (names: readonly string[]): object => {
    const [first = ''] = names;
    if (first === '') return { type: 'string' };
    return names.length === 1 ? ref(first) : { anyOf: names.map(ref) };
  };
  const media = Object.entries(content).map(([type, names]) => [type, { schema: schemaOf(names) }]);
  return { description, content: Object.fromEntries(media) as object };
}
