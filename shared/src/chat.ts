import { z } from 'zod';
import { parseJsonText } from './json.ts';

export const MAX_TOOLS = 128;
/** Of one message. */
const MAX_TOOL_CALLS = 128;
const MAX_ID_LENGTH = 256;

/** By hand and not z.record, whose copy would lose a property that is called __proto__. */
export const jsonObjectSchema = z.custom<Record<string, unknown>>(isObject, 'expected an object');

export const toolNameSchema = z
  .string('expected a name')
  .regex(/^[\w-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -');

/** What a call hands to its function: JSON, as it was written. */
export const toolArgumentsSchema = z
  .string('expected a string')
  .refine((text) => isObject(parsedOrUndefined(text)), 'expected the JSON of an object');

export const toolIdSchema = z
  .string('expected a string')
  .min(1, 'expected the id of a call')
  .max(MAX_ID_LENGTH, `expected at most ${MAX_ID_LENGTH} characters`);

const toolCallSchema = z.strictObject({
  id: toolIdSchema,
  name: toolNameSchema,
  arguments: toolArgumentsSchema,
});

/** A message of a chat. */
export const chatMessageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'user']), content: z.string() }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string(),
    /** What it thought before; templates show it where they know of it. */
    reasoning: z.string().optional(),
    tool_calls: z.array(toolCallSchema).min(1).max(MAX_TOOL_CALLS).optional(),
  }),
  /** What a call came to. */
  z.strictObject({ role: z.literal('tool'), content: z.string(), tool_call_id: toolIdSchema }),
]);
export type ChatMessage = z.infer<typeof chatMessageSchema>;
export type AssistantMessage = Extract<ChatMessage, { role: 'assistant' }>;

/** A function that the model may call. */
export const toolSchema = z.strictObject({
  name: toolNameSchema,
  description: z.string().optional(),
  /** A JSON schema of an object; absent: it takes nothing. */
  parameters: jsonObjectSchema.optional(),
  /** Whether a schema that cannot be kept is refused; if not, the arguments are then any object. */
  strict: z.boolean().default(false),
});
export type Tool = z.infer<typeof toolSchema>;

/** `auto`: text or calls; `required`: calls alone; `none`: the model is not shown the tools. */
export const toolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ name: toolNameSchema }),
]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

export const chatInputSchema = z.strictObject({
  type: z.literal('chat'),
  messages: z.array(chatMessageSchema).min(1, 'expected a message'),
  tools: z.array(toolSchema).min(1).max(MAX_TOOLS).optional(),
  tool_choice: toolChoiceSchema.optional(),
  /** Whether one answer may hold several calls; true where nothing is said. */
  parallel_tool_calls: z.boolean().optional(),
  /** What the template is asked beside: `enable_thinking`, say. */
  template_variables: jsonObjectSchema.optional(),
});
export type ChatInput = z.infer<typeof chatInputSchema>;

/** More of a call: its beginning brings id and name, the rest more of its arguments. */
export const toolCallPieceSchema = z.object({
  /** Of the call in its choice. */
  index: z.int().nonnegative(),
  id: z.string().optional(),
  name: z.string().optional(),
  arguments: z.string(),
});
export type ToolCallPiece = z.infer<typeof toolCallPieceSchema>;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsedOrUndefined(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch {
    return undefined;
  }
}
