import { createHash } from 'node:crypto';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatInput, ChatMessage } from '@tidar/shared/chat.ts';
import type { ChatMessage as TemplateMessage } from '../model/chat-template.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** Mistral's templates take no other ids of calls. */
const SHORT_ID = /^[A-Za-z0-9]{9}$/;
const SHORT_ID_LENGTH = 9;

/** The prompt of a chat; what its template has no word for is refused by its name. */
export function chatPromptIds(input: ChatInput, tokenizer: Tokenizer): number[] {
  assertTools(input, tokenizer);
  assertVariables(input, tokenizer);
  const { messages, tools, tool_choice: choice, template_variables: variables } = input;
  return tokenizer.encodeChat(templateMessages(messages, tokenizer), {
    // A model that may not call is not shown what it could call.
    ...(tools === undefined || choice === 'none' ? {} : { tools: tools.map(templateTool) }),
    ...(variables === undefined ? {} : { variables }),
  });
}

function assertTools({ messages, tools, tool_choice: choice }: ChatInput, tokenizer: Tokenizer): void {
  const { templateSource, marks } = tokenizer;
  if (tools !== undefined && choice !== 'none' && marks.calls === undefined) {
    const knows = /\btools\b/.test(templateSource);
    const why = knows
      ? 'shows tools to the model, but in a form of calls that this server cannot read (--tool-format names one of those that it can)'
      : 'knows no tools';
    refuse(
      'tools',
      `This model cannot call tools: its chat template ${why}. Send the request without 'tools'.`,
    );
  }
  if (tools === undefined && choice !== undefined && choice !== 'none' && choice !== 'auto')
    refuse('tool_choice', "'tool_choice' asks for a call, but there are no 'tools'.");
  if (typeof choice === 'object' && tools?.every(({ name }) => name !== choice.name) === true)
    refuse('tool_choice', `'tool_choice' names the function ${choice.name}, which 'tools' does not have.`);
  const index = messages.findIndex(hasToolParts);
  if (index === -1 || /tool_calls/.test(templateSource)) return;
  const sentence = `messages[${index}] is of a tool or calls one, and this model's chat template has no words for that.`;
  refuse(`messages[${index}]`, sentence);
}

const hasToolParts = (message: ChatMessage): boolean =>
  message.role === 'tool' || (message.role === 'assistant' && message.tool_calls !== undefined);

/** A variable that the template never reads would change nothing without a word. */
function assertVariables({ template_variables: variables = {} }: ChatInput, tokenizer: Tokenizer): void {
  for (const name of Object.keys(variables)) {
    const param = `template_variables.${name}`;
    if (RESERVED.has(name) || name.endsWith('_token'))
      refuse(param, `'${name}' is set by the server itself.`);
    const isRead = /^\w+$/.test(name) && new RegExp(`\\b${name}\\b`).test(tokenizer.templateSource);
    if (!isRead) refuse(param, `This model's chat template has no variable '${name}'.`);
  }
}
const RESERVED = new Set(['messages', 'tools', 'add_generation_prompt', 'raise_exception', 'strftime_now']);

function templateTool({ name, description, parameters }: NonNullable<ChatInput['tools']>[number]): object {
  const described = description === undefined ? {} : { description };
  const takes = parameters ?? { type: 'object', properties: {} };
  return { type: 'function', function: { name, ...described, parameters: takes } };
}

/** As templates read them: arguments are objects, and a tool's answer says which function it is of. */
function templateMessages(messages: readonly ChatMessage[], tokenizer: Tokenizer): TemplateMessage[] {
  const names = new Map<string, string>();
  const hasShortIds = tokenizer.marks.calls === 'mistral' || tokenizer.marks.calls === 'mistral-args';
  const idOf = (id: string): string => (hasShortIds ? shortId(id) : id);
  return messages.map((message): TemplateMessage => {
    if (message.role === 'tool') {
      const { content, tool_call_id: id } = message;
      const name = names.get(id);
      return { role: 'tool', content, tool_call_id: idOf(id), ...(name === undefined ? {} : { name }) };
    }
    if (message.role !== 'assistant') return message;
    const { role, content, reasoning, tool_calls: calls } = message;
    for (const { id, name } of calls ?? []) names.set(id, name);
    const called = calls?.map(({ id, name, arguments: text }) => ({
      id: idOf(id),
      type: 'function' as const,
      function: { name, arguments: JSON.parse(text) as unknown },
    }));
    return {
      role,
      content,
      ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
      ...(called === undefined ? {} : { tool_calls: called }),
    };
  });
}

function shortId(id: string): string {
  if (SHORT_ID.test(id)) return id;
  return createHash('sha256').update(id).digest('hex').slice(0, SHORT_ID_LENGTH);
}

function refuse(param: string, sentence: string): never {
  throw new TidarError('invalid_request', sentence, { param });
}
