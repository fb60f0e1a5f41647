import { biasSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import { settingsChangeSchema } from '../ledger/settings.ts';
import { ANSWERS } from '../openai/answer-schema.ts';
import { chatRequestSchema } from '../openai/chat-schema.ts';
import { completionRequestSchema } from '../openai/completion-schema.ts';
import {
  CHAT_DESCRIPTIONS,
  COMPLETION_DESCRIPTIONS,
  EXTENSION_DESCRIPTIONS,
} from '../openai/descriptions.ts';
import { responseRequestSchema } from '../openai/responses-schema.ts';
import { importSchema, newTokenSchema, rotateSchema } from '../routes/schemas.ts';
import { ADMIN } from './admin.ts';
import { ADMIN_ANSWERS } from './admin-answers.ts';
import { ADMIN_DESCRIPTIONS, RESPONSE_DESCRIPTIONS } from './descriptions.ts';
import { INFERENCE } from './inference.ts';
import { describeAll, type JsonSchema, toSchema } from './json-schema.ts';
import { type Operation, ref, rendered } from './operation.ts';
import { RESPONSE_ANSWERS } from './response-answers.ts';
import { OWN } from './usage.ts';
import { USAGE_ANSWERS } from './usage-answers.ts';

/** Every route of the edge. */
export const OPERATIONS: readonly Operation[] = [...INFERENCE, ...OWN, ...ADMIN];

const bearer = (description: string): object => ({ type: 'http', scheme: 'bearer', description });

/** The OpenAPI 3.1 document of every route, from the schemas that check their requests. */
export function openApiDocument(): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: { title: 'TiDAR', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    paths: paths(),
    components: {
      securitySchemes: {
        key: bearer('An API key: `tdr_…`.'),
        admin: bearer('The admin token, or a token of the admin API with the scope in `x-scope`: `tda_…`.'),
        backend: bearer("A backend's signed heartbeat: `hb1.…`."),
      },
      schemas: { ...requestSchemas(), ...adminBodies(), ...answerSchemas() },
    },
  };
}

function paths(): Record<string, Record<string, object>> {
  const byPath: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    const [method = '', path = ''] = operation.route.split(' ');
    (byPath[path] ??= {})[method.toLowerCase()] = rendered(operation);
  }
  return byPath;
}

/** The body of each route that generates text, by the name of its schema, with what each parameter is. */
export function requestSchemas(): Record<string, JsonSchema> {
  return {
    ChatCompletionRequest: described(chatRequestSchema, CHAT_DESCRIPTIONS),
    CompletionRequest: described(completionRequestSchema, COMPLETION_DESCRIPTIONS),
    ResponseRequest: described(responseRequestSchema, RESPONSE_DESCRIPTIONS),
  };
}

/** The bodies that the admin API takes, likewise. */
export function adminBodies(): Record<string, JsonSchema> {
  const bodies = {
    KeySettings: toSchema(settingsChangeSchema),
    Rotation: toSchema(rotateSchema),
    NewToken: toSchema(newTokenSchema),
    BackupRows: toSchema(importSchema),
  };
  for (const { properties = {} } of Object.values(bodies)) describeAll(properties, ADMIN_DESCRIPTIONS);
  return bodies;
}

function answerSchemas(): Record<string, JsonSchema> {
  const all: Record<string, z.ZodType> = {
    ...ANSWERS,
    ModelList: z.object({ object: z.literal('list'), data: z.array(ANSWERS.Model) }),
    ...RESPONSE_ANSWERS,
    ...USAGE_ANSWERS,
    ...ADMIN_ANSWERS,
  };
  return referring(Object.fromEntries(Object.entries(all).map(([name, schema]) => [name, toSchema(schema)])));
}

/** The same schemas; where one is a part of another, its name stands there. */
function referring(schemas: Record<string, JsonSchema>): Record<string, JsonSchema> {
  const texts = Object.entries(schemas).map(([name, schema]): [string, string] => [
    name,
    JSON.stringify(schema),
  ]);
  return Object.fromEntries(
    texts.map(([name, own]) => {
      const others = texts.filter(([other, text]) => other !== name && text !== own);
      const text = others.reduce(
        (whole, [other, part]) => whole.replaceAll(part, JSON.stringify(ref(other))),
        own,
      );
      return [name, JSON.parse(text) as JsonSchema];
    }),
  );
}

function described(schema: z.ZodType, descriptions: Readonly<Record<string, string>>): JsonSchema {
  const all = toSchema(schema);
  const { properties = {} } = all;
  const extension = extensionOf(properties);
  describeAll(properties, descriptions);
  // A response has in its extension what others have beside it.
  describeAll(extension, { ...CHAT_DESCRIPTIONS, ...EXTENSION_DESCRIPTIONS });
  for (const where of [properties, extension]) {
    // Its schema is code: what it takes is said here.
    if (where.logit_bias !== undefined) where.logit_bias = logitBias(where.logit_bias);
  }
  return all;
}

function logitBias({ description }: JsonSchema): JsonSchema {
  return {
    ...(description === undefined ? {} : { description }),
    type: ['object', 'null'],
    propertyNames: { pattern: '^(0|[1-9]\\d{0,9})$' },
    additionalProperties: toSchema(biasSchema),
  };
}

/** The parameters of the `tidar` object, which may also be null. */
export function extensionOf(properties: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  const branches = properties.tidar?.anyOf as JsonSchema[] | undefined;
  return branches?.find((branch) => branch.properties !== undefined)?.properties ?? {};
}
