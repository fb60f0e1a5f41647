import { Template } from '@huggingface/jinja';
import { TidarError } from '@tidar/shared/errors.ts';
import { invalidFile } from './json-file.ts';

/** A message as OpenAI has it; templates read the fields that they know. */
export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  content: string;
  name?: string;
  /** Of a tool's answer. */
  tool_call_id?: string;
  /** Of an assistant's turn; `arguments` is an object, as templates want it. */
  tool_calls?: readonly ChatToolCall[];
  /** What the assistant thought, where its template shows it again. */
  reasoning_content?: string;
}

export interface ChatToolCall {
  id?: string;
  type?: 'function';
  function: { name: string; arguments: unknown };
}

export interface ChatTemplateOptions {
  /** Whether the text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean;
  /** Functions that may be called, as OpenAI describes them. */
  tools?: readonly object[];
  /** What else a template asks for: `enable_thinking` of Qwen3, say. */
  variables?: Readonly<Record<string, unknown>>;
}

/** Renders messages to the model's own chat form; throws `invalid_request` with the template's sentence. */
export interface ChatTemplate {
  (messages: readonly ChatMessage[], options?: ChatTemplateOptions): string;
  /** Its text, which tells what it knows. */
  readonly source: string;
}

/** Parses a Hugging Face chat template. `specialTokens` are its variables: bos_token, eos_token and so on. */
export function parseChatTemplate(
  source: string,
  specialTokens: Readonly<Record<string, string>>,
  fileName: string,
): ChatTemplate {
  const template = parse(source, fileName);
  const render = (
    messages: readonly ChatMessage[],
    { addGenerationPrompt = true, tools, variables = {} }: ChatTemplateOptions = {},
  ): string => {
    const given = {
      ...specialTokens,
      ...variables,
      messages,
      add_generation_prompt: addGenerationPrompt,
      ...(tools === undefined ? {} : { tools }),
    };
    try {
      return template.render(given);
    } catch (error) {
      throw new TidarError(
        'invalid_request',
        `The model's chat template refused the messages: ${(error as Error).message}`,
      );
    }
  };
  return Object.assign(render, { source });
}

/** One template for chats with tools, and one for the others, as some models bring them. */
export function withToolTemplate(plain: ChatTemplate, forTools: ChatTemplate): ChatTemplate {
  const render: (...given: Parameters<ChatTemplate>) => string = (messages, options) =>
    (options?.tools === undefined ? plain : forTools)(messages, options);
  return Object.assign(render, { source: `${plain.source}\n${forTools.source}` });
}

function parse(source: string, fileName: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw invalidFile(fileName, `the chat template cannot be parsed (${(error as Error).message}).`);
  }
}
