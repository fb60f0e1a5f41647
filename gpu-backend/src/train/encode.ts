import { mkdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatMessage } from '../model/chat-template.ts';
import { outlineFolder } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { loadTokenizer } from '../model/tokenizer-files.ts';
import { copyTokenizer } from './export.ts';
import { writeTokenText } from './token-text.ts';

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string(),
});
const lineSchema = z.union([
  z.object({ text: z.string() }),
  z.object({ messages: z.array(message).min(1) }),
  z.object({ question: z.string(), answer: z.string() }),
]);
type Line = z.infer<typeof lineSchema>;

/** One document of so many is held out. */
const HELD_OUT_EVERY = 50;

export interface Encoded {
  readonly numDocuments: number;
  readonly numTokens: number;
  readonly numHeldOut: number;
}

/**
 * Makes a data folder of a file of JSON lines, for training from a model folder with that model's own tokenizer and
 * chat template. Every fiftieth document is held out.
 */
export function encodeTexts(file: string, modelFolder: string, dataFolder: string): Encoded {
  const { config } = outlineFolder(modelFolder, { adapter: 'none' });
  const tokenizer = loadTokenizer(modelFolder, config);
  if (tokenizer === undefined)
    throw new TidarError('model_folder_invalid', `${modelFolder} has no tokenizer.json.`);
  const documents = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text, index) =>
      text.trim() === '' ? [] : [encodeLine(text, tokenizer, `${file}:${index + 1}`)],
    );
  if (documents.length < 2) throw new TidarError('invalid_request', `${file} needs two documents or more.`);
  const every = Math.min(HELD_OUT_EVERY, documents.length);
  const isHeldOut = (_: unknown, index: number): boolean => index % every === every - 1;
  const heldOut = documents.filter(isHeldOut);
  const training = documents.filter((document, index) => !isHeldOut(document, index));
  mkdirSync(dataFolder, { recursive: true });
  writeTokenText(dataFolder, 'train', training, config.vocabSize);
  writeTokenText(dataFolder, 'valid', heldOut, config.vocabSize);
  copyTokenizer(modelFolder, dataFolder);
  const numTokens = training.reduce((sum, { length }) => sum + length, 0);
  return { numDocuments: training.length, numTokens, numHeldOut: heldOut.length };
}

function encodeLine(text: string, tokenizer: Tokenizer, place: string): number[] {
  const parsed = lineSchema.safeParse(parseJson(text, place));
  if (!parsed.success) {
    throw new TidarError(
      'invalid_request',
      `${place}: expected "text", "messages", or "question" and "answer".`,
    );
  }
  return encodeDocument(parsed.data, tokenizer);
}

/** Plain text from the start token to an end token; chats as the model's template writes them. */
function encodeDocument(line: Line, tokenizer: Tokenizer): number[] {
  if ('text' in line) {
    const { bosTokenId, eosTokenIds } = tokenizer;
    const start = bosTokenId === undefined ? [] : [bosTokenId];
    return [...start, ...tokenizer.encode(line.text), ...eosTokenIds.slice(0, 1)];
  }
  const messages: readonly ChatMessage[] =
    'messages' in line
      ? line.messages
      : [
          { role: 'user', content: line.question },
          { role: 'assistant', content: line.answer },
        ];
  return tokenizer.encodeChat(messages, { addGenerationPrompt: false });
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TidarError('invalid_request', `${place} is not JSON.`);
  }
}
