import { biasSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import { ANSWERS } from './answer-schema.ts';
import { chatRequestSchema } from './chat-schema.ts';
import { completionRequestSchema } from './completion-schema.ts';
import { CHAT_DESCRIPTIONS, COMPLETION_DESCRIPTIONS, EXTENSION_DESCRIPTIONS } from './descriptions.ts';

export interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
}

const BEARER = 'An API key: `tdr_…`.';
const json = (schema: object): object => ({ 'application/json': { schema } });
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const errors = { default: { description: 'What went wrong.', content: json(ref('Error')) } };

/** The OpenAPI 3.1 document of the routes that clients of models use, from the schemas that check their requests. */
export function openApiDocument(): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: { title: 'TiDAR', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    paths: {
      '/v1/chat/completions': textRoute('createChatCompletion', 'A chat completion.', 'ChatCompletion'),
      '/v1/completions': textRoute('createCompletion', 'A completion of text or token ids.', 'Completion'),
      '/v1/responses/{id}': responseRoute(),
      '/v1/models': { get: listModels() },
      '/v1/models/{id}': { get: getModel() },
    },
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: BEARER } },
      schemas: schemas(),
    },
  };
}

/** The body of each route by the name of its schema, with what each parameter is. */
export function requestSchemas(): Record<string, JsonSchema> {
  return {
    ChatCompletionRequest: described(chatRequestSchema, CHAT_DESCRIPTIONS),
    CompletionRequest: described(completionRequestSchema, COMPLETION_DESCRIPTIONS),
  };
}

function schemas(): Record<string, JsonSchema> {
  const answers = Object.entries(ANSWERS).map(([name, schema]) => [name, toSchema(schema)]);
  return { ...requestSchemas(), ...(Object.fromEntries(answers) as Record<string, JsonSchema>) };
}

function described(schema: z.ZodType, descriptions: Readonly<Record<string, string>>): JsonSchema {
  const all = toSchema(schema);
  const { properties = {} } = all;
  describeAll(properties, descriptions);
  properties.logit_bias = {
    ...(properties.logit_bias?.description === undefined
      ? {}
      : { description: properties.logit_bias.description }),
    type: ['object', 'null'],
    propertyNames: { pattern: '^(0|[1-9]\\d{0,9})$' },
    additionalProperties: toSchema(biasSchema),
  };
  describeAll(extensionOf(properties), EXTENSION_DESCRIPTIONS);
  return all;
}

/** The parameters of the `tidar` object, which may also be null. */
export function extensionOf(properties: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  const branches = properties.tidar?.anyOf as JsonSchema[] | undefined;
  return branches?.find((branch) => branch.properties !== undefined)?.properties ?? {};
}

function describeAll(
  properties: Readonly<Record<string, JsonSchema>>,
  descriptions: Readonly<Record<string, string>>,
): void {
  for (const [name, schema] of Object.entries(properties)) {
    const description = descriptions[name];
    if (description !== undefined) schema.description = description;
    else if (schema.type === 'null') schema.description = 'Not supported: only null.';
  }
}

function toSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest as JsonSchema;
}

function textRoute(operationId: string, summary: string, name: string): object {
  const content = { ...json(ref(name)), 'text/event-stream': { schema: ref(`${name}Chunk`) } };
  const idempotencyKey = {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'The same request with the same key within 24 hours gets the same answer, billed once.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  };
  return {
    post: {
      operationId,
      summary,
      parameters: [idempotencyKey],
      requestBody: { required: true, content: json(ref(`${name}Request`)) },
      responses: { 200: { description: 'The answer, or with `stream` its chunks.', content }, ...errors },
    },
  };
}

function responseRoute(): object {
  const one = (names: readonly string[]): object => ({ oneOf: names.map(ref) });
  const content = {
    ...json(one(['ChatCompletion', 'Completion'])),
    'text/event-stream': { schema: one(['ChatCompletionChunk', 'CompletionChunk']) },
  };
  const query = (name: string, description: string, schema: object): object => ({
    name,
    in: 'query',
    description,
    schema,
  });
  return {
    get: {
      operationId: 'getResponse',
      summary: 'The answer of a completion again.',
      parameters: [
        idParameter('The `id` of its chunks, or its `x-request-id`.'),
        query('stream', 'As a stream.', { enum: ['true', 'false'], default: 'false' }),
        query('starting_after', 'The id of the last event that the client has.', { type: 'string' }),
      ],
      responses: { 200: { description: 'The answer, or with `stream` its chunks.', content }, ...errors },
    },
  };
}

function listModels(): object {
  const schema = {
    type: 'object',
    properties: { object: { const: 'list' }, data: { type: 'array', items: ref('Model') } },
    required: ['object', 'data'],
  };
  return {
    operationId: 'listModels',
    summary: 'The models that are served now and that the key may use.',
    responses: { 200: { description: 'The models.', content: json(schema) }, ...errors },
  };
}

function getModel(): object {
  return {
    operationId: 'getModel',
    summary: 'One of them.',
    parameters: [idParameter('The id of a model.')],
    responses: { 200: { description: 'The model.', content: json(ref('Model')) }, ...errors },
  };
}

function idParameter(description: string): object {
  return { name: 'id', in: 'path', required: true, description, schema: { type: 'string' } };
}
