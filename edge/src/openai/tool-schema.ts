import {
  jsonObjectSchema,
  MAX_TOOLS,
  toolArgumentsSchema,
  toolIdSchema,
  toolNameSchema,
} from '@tidar/shared/chat.ts';
import { z } from 'zod';

const MAX_DESCRIPTION = 16_384;
const flag = z.boolean('expected true or false');

/** Of a function: a JSON schema of an object. */
export const parametersSchema = jsonObjectSchema.refine(
  ({ type }) => type === undefined || type === 'object',
  'expected the JSON schema of an object: arguments have names',
);

const tool = z.strictObject({
  type: z.literal('function', "only tools of type 'function' are supported"),
  function: z.strictObject({
    name: toolNameSchema,
    description: z
      .string('expected a string')
      .max(MAX_DESCRIPTION, `expected at most ${MAX_DESCRIPTION} characters`)
      .nullish(),
    parameters: parametersSchema.nullish(),
    strict: flag.nullish(),
  }),
});

/** The functions that the model may call; none is as if there were no such parameter. */
export const toolsSchema = z
  .array(tool, 'expected a list of tools')
  .max(MAX_TOOLS, `expected at most ${MAX_TOOLS} tools`)
  .superRefine((tools, context) => {
    const names = tools.map((each) => each.function.name);
    const index = names.findIndex((name, at) => names.indexOf(name) !== at);
    if (index === -1) return;
    const message = `expected each name once, and ${names[index]} is there twice`;
    context.addIssue({ code: 'custom', path: [index, 'function', 'name'], message, input: tools });
  })
  .nullish();

export const toolChoiceSchema = z
  .union(
    [
      z.enum(['none', 'auto', 'required']),
      z.strictObject({
        type: z.literal('function', "only 'function' is supported"),
        function: z.strictObject({ name: toolNameSchema }),
      }),
    ],
    "expected 'none', 'auto', 'required' or { type: 'function', function: { name } }",
  )
  .nullish();

export const parallelToolCallsSchema = flag.nullish();
export const templateVariablesSchema = jsonObjectSchema.nullish();

const toolCall = z.strictObject({
  id: toolIdSchema,
  type: z.literal('function', "only calls of type 'function' are supported"),
  function: z.strictObject({ name: toolNameSchema, arguments: toolArgumentsSchema }),
});

/** Of an assistant's message; an empty list is as good as none. */
export const toolCallsSchema = z.array(toolCall, 'expected a list of calls').max(MAX_TOOLS).nullish();
export const toolCallIdSchema = toolIdSchema;
