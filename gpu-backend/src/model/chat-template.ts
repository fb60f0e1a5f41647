import { Template } from '@huggingface/jinja';
import { TidarError } from '@tidar/shared/errors.ts';
import { invalidFile } from './json-file.ts';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface ChatTemplateOptions {
  /** Whether the text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean;
}

/** Renders messages to the model's own chat form; throws `invalid_request` with the template's sentence. */
export type ChatTemplate = (messages: readonly ChatMessage[], options?: ChatTemplateOptions) => string;

/** Parses a Hugging Face chat template. `specialTokens` are its variables: bos_token, eos_token and so on. */
export function parseChatTemplate(
  source: string,
  specialTokens: Readonly<Record<string, string>>,
  fileName: string,
): ChatTemplate {
  const template = parse(source, fileName);
  return (messages, { addGenerationPrompt = true } = {}) => {
    const variables = { ...specialTokens, messages, add_generation_prompt: addGenerationPrompt };
    try {
      return template.render(variables);
    } catch (error) {
      throw new TidarError(
        'invalid_request',
        `The model's chat template refused the messages: ${(error as Error).message}`,
      );
    }
  };
}

function parse(source: string, fileName: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw invalidFile(fileName, `the chat template cannot be parsed (${(error as Error).message}).`);
  }
}
