import { jsonSchemaSchema, topLogprobsSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import {
  commonParameters,
  flag,
  metadata,
  only,
  schemaName,
  tokenLimit,
  unsupported,
} from './common-schema.ts';
import {
  parallelToolCallsSchema,
  templateVariablesSchema,
  toolCallIdSchema,
  toolCallsSchema,
  toolChoiceSchema,
  toolsSchema,
} from './tool-schema.ts';

const textPart = z.strictObject({
  type: z.literal('text', "only parts of type 'text' are supported"),
  text: z.string('expected a string'),
});
const content = z.union(
  [z.string(), z.array(textPart).min(1, 'expected a part')],
  'expected a string or a list of text parts',
);

const reasoning = z.string('expected a string').nullish();

const promptMessage = z.strictObject({ role: z.enum(['system', 'developer', 'user']), content });
/** Takes an answer's message as it was given, so that a client may send it back unchanged. */
const assistantMessage = z.strictObject({
  role: z.literal('assistant'),
  /** Null beside calls. */
  content: content.nullish(),
  reasoning_content: reasoning,
  refusal: z.null('expected null').optional(),
  annotations: z.array(z.never()).max(0, 'expected an empty list').nullish(),
  audio: unsupported,
  function_call: unsupported,
  tool_calls: toolCallsSchema,
});
const toolMessage = z.strictObject({
  role: z.literal('tool'),
  content,
  tool_call_id: toolCallIdSchema,
  /** Some clients say once more which function was called. */
  name: z.string('expected a string').optional(),
});
const message = z.discriminatedUnion('role', [promptMessage, assistantMessage, toolMessage], {
  error: "expected an object with role 'system', 'developer', 'user', 'assistant' or 'tool'",
});
type Message = z.output<typeof message>;

const messages = z
  .array(message, 'expected a list of messages')
  .min(1, 'expected at least one message')
  .superRefine((all, context) => {
    const called = new Map<string, string>();
    for (const [index, each] of all.entries()) {
      const [name, problem] = problemWith(each, called) ?? [];
      if (name !== undefined) {
        context.addIssue({ code: 'custom', path: [index, name], message: problem ?? '', input: each });
        return;
      }
      if (each.role === 'assistant')
        for (const { id, function: one } of each.tool_calls ?? []) called.set(id, one.name);
    }
  });

/** What is wrong with a message after those before it, which called these functions; by the name of its field. */
function problemWith(
  each: Message,
  called: ReadonlyMap<string, string>,
): [field: string, problem: string] | undefined {
  if (each.role === 'assistant') {
    const isEmpty = each.content == null && (each.tool_calls ?? []).length === 0;
    return isEmpty ? ['content', 'expected a string or a list of text parts'] : undefined;
  }
  if (each.role !== 'tool') return undefined;
  const name = called.get(each.tool_call_id);
  if (name === undefined)
    return ['tool_call_id', "expected the id of a call in an assistant's message before it"];
  if (each.name === undefined || each.name === name) return undefined;
  return ['name', `expected ${name}, the function of that call`];
}

const jsonSchemaFormat = z.strictObject({
  name: schemaName,
  description: z.null('the model is not shown it: put it into a message').optional(),
  schema: jsonSchemaSchema.optional(),
  /** Every schema is kept to the letter here; what cannot be is refused. */
  strict: flag.nullish(),
});
const responseFormat = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object') }),
      z.strictObject({ type: z.literal('json_schema'), json_schema: jsonSchemaFormat }),
    ],
    { error: "expected 'text', 'json_object' or 'json_schema'" },
  )
  .nullish();

/** The body of `POST /v1/chat/completions`: every parameter is honoured or refused by its name. */
export const chatRequestSchema = z.strictObject({
  ...commonParameters,
  messages,
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  metadata,
  logprobs: flag.nullish(),
  top_logprobs: topLogprobsSchema.nullish(),
  store: only(false),
  tools: toolsSchema,
  tool_choice: toolChoiceSchema,
  parallel_tool_calls: parallelToolCallsSchema,
  chat_template_kwargs: templateVariablesSchema,
  response_format: responseFormat,
  audio: unsupported,
  function_call: unsupported,
  functions: unsupported,
  modalities: unsupported,
  prediction: unsupported,
  prompt_cache_key: unsupported,
  prompt_cache_retention: unsupported,
  reasoning_effort: unsupported,
  safety_identifier: unsupported,
  service_tier: unsupported,
  verbosity: unsupported,
  web_search_options: unsupported,
});
export type ChatRequest = z.output<typeof chatRequestSchema>;
