import { z } from 'zod';

const count = z.int().nonnegative();
const scored = z.object({ token: z.string(), bytes: z.array(count), logprob: z.number() });
const logprobs = z.array(scored.extend({ top_logprobs: z.array(scored) }));

const part = z.object({
  type: z.literal('output_text'),
  annotations: z.array(z.never()),
  logprobs: logprobs.optional(),
  text: z.string(),
});
const reasoningPart = z.object({ type: z.literal('reasoning_text'), text: z.string() });
const status = z.enum(['in_progress', 'completed', 'incomplete']);
const item = z.discriminatedUnion('type', [
  z.object({
    id: z.string(),
    type: z.literal('message'),
    status,
    role: z.literal('assistant'),
    content: z.array(part),
  }),
  z.object({
    id: z.string(),
    type: z.literal('reasoning'),
    status,
    summary: z.array(z.never()),
    content: z.array(reasoningPart),
  }),
  z.object({
    id: z.string(),
    type: z.literal('function_call'),
    status,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
]);
const tool = z.object({
  type: z.literal('function'),
  name: z.string(),
  description: z.string().nullable(),
  parameters: z.looseObject({}).nullable(),
  strict: z.boolean(),
});
const choice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), name: z.string() }),
]);
const format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    name: z.string(),
    strict: z.boolean(),
    description: z.null(),
    schema: z.unknown(),
  }),
]);
const usage = z.object({
  input_tokens: count,
  input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: z.literal(0) }),
  output_tokens: count,
  output_tokens_details: z.object({ reasoning_tokens: z.literal(0) }),
  total_tokens: count,
});
const text = z.string().nullable();

const response = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: count,
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  error: z.object({ code: z.enum(['server_error', 'rate_limit_exceeded']), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  model: z.string(),
  output: z.array(item),
  background: z.literal(false),
  instructions: text,
  max_output_tokens: count.nullable(),
  max_tool_calls: z.null(),
  metadata: z.record(z.string(), z.string()),
  parallel_tool_calls: z.boolean(),
  previous_response_id: text,
  prompt_cache_key: text,
  reasoning: z.object({ effort: z.null(), summary: z.null() }),
  safety_identifier: text,
  service_tier: z.literal('default'),
  store: z.boolean(),
  temperature: z.number().nullable(),
  text: z.object({ format, verbosity: z.literal('medium') }),
  tool_choice: choice,
  tools: z.array(tool),
  top_logprobs: count,
  top_p: z.number().nullable(),
  truncation: z.literal('disabled'),
  user: text,
  usage: usage.nullable(),
  tidar: z.looseObject({ seed: z.string(), fingerprint: z.string(), num_forward_passes: count.optional() }),
});

const event = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.object({ type: z.literal(type), sequence_number: count, ...shape });
const callPlace = { item_id: z.string(), output_index: count };
const place = { ...callPlace, content_index: z.literal(0) };
const anyPart = z.discriminatedUnion('type', [part, reasoningPart]);
/** Of the forward passes since the delta before. */
const trace = { tidar: z.looseObject({}).optional() };

/** What the route of responses answers. */
export const RESPONSE_ANSWERS = {
  Response: response,
  Deleted: z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) }),
  ResponseEvent: z.discriminatedUnion('type', [
    event('response.created', { response }),
    event('response.in_progress', { response }),
    event('response.output_item.added', { output_index: count, item }),
    event('response.content_part.added', { ...place, part: anyPart }),
    event('response.output_text.delta', { ...place, delta: z.string(), logprobs, ...trace }),
    event('response.output_text.done', { ...place, text: z.string(), logprobs }),
    event('response.reasoning_text.delta', { ...place, delta: z.string(), ...trace }),
    event('response.reasoning_text.done', { ...place, text: z.string() }),
    event('response.function_call_arguments.delta', { ...callPlace, delta: z.string(), ...trace }),
    event('response.function_call_arguments.done', {
      ...callPlace,
      name: z.string(),
      arguments: z.string(),
    }),
    event('response.content_part.done', { ...place, part: anyPart }),
    event('response.output_item.done', { output_index: count, item }),
    event('response.completed', { response }),
    event('response.incomplete', { response }),
    event('response.failed', { response }),
    event('error', { code: z.string(), message: z.string(), param: text }),
  ]),
};
