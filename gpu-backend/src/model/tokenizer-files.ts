import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ToolFormat } from './answer/forms.ts';
import type { ChatTemplate } from './chat-template.ts';
import { parseChatTemplate, withToolTemplate } from './chat-template.ts';
import type { ModelConfig } from './config.ts';
import { invalidFile, readJson } from './json-file.ts';
import type { Tokenizer, TokenizerJson } from './tokenizer.ts';
import { findTokenId, makeTokenizer, parseTokenizerJson } from './tokenizer.ts';

export const TOKENIZER_FILE = 'tokenizer.json';
export const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json';
export const CHAT_TEMPLATE_FILE = 'chat_template.jinja';

const tokenText = z.union([z.string(), z.looseObject({ content: z.string() }).transform((t) => t.content)]);
const namedTemplates = z.array(z.looseObject({ name: z.string(), template: z.string() }));
const tokenizerConfigSchema = z.looseObject({
  bos_token: tokenText.nullish(),
  eos_token: tokenText.nullish(),
  pad_token: tokenText.nullish(),
  unk_token: tokenText.nullish(),
  chat_template: z.union([z.string(), namedTemplates]).nullish(),
});
type TokenizerConfig = z.infer<typeof tokenizerConfigSchema>;

/** What a folder's files say of its tokenizer, before one is made of it. */
interface TokenizerOutline {
  readonly json: TokenizerJson;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate?: ChatTemplate;
}

/** Loads a folder's tokenizer and chat template; undefined where the folder has no tokenizer.json. */
export function loadTokenizer(
  folder: string,
  config: ModelConfig,
  toolFormat?: ToolFormat,
): Tokenizer | undefined {
  const outline = outlineTokenizer(folder, config);
  if (outline === undefined) return undefined;
  const { json, ...parts } = outline;
  return makeTokenizer(json, { fileName: TOKENIZER_FILE, toolFormat, ...parts });
}

/** Reads and checks the files; a vocabulary is made usable only by `loadTokenizer`, which takes its time. */
export function outlineTokenizer(folder: string, config: ModelConfig): TokenizerOutline | undefined {
  if (!existsSync(join(folder, TOKENIZER_FILE))) return undefined;
  const json = parseTokenizerJson(readJson(folder, TOKENIZER_FILE), TOKENIZER_FILE);
  const tokenizerConfig = readTokenizerConfig(folder);
  const bosTokenId = idOfSpecial(json, 'bos_token', tokenizerConfig.bos_token) ?? config.bosTokenId;
  const eosTokenId = idOfSpecial(json, 'eos_token', tokenizerConfig.eos_token);
  const eosTokenIds = new Set([...config.eosTokenIds, ...(eosTokenId === undefined ? [] : [eosTokenId])]);
  const chatTemplate = loadChatTemplate(folder, tokenizerConfig);
  const largestId = largestTokenId(json);
  if (largestId >= config.vocabSize) {
    throw invalidFile(
      TOKENIZER_FILE,
      `found token id ${largestId}; expected ids below vocab_size ${config.vocabSize} of config.json.`,
    );
  }
  return {
    json,
    eosTokenIds: [...eosTokenIds],
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

function largestTokenId({ model, added_tokens: added }: TokenizerJson): number {
  let largest = -1;
  for (const id of Object.values(model.vocab)) largest = Math.max(largest, id);
  return added.reduce((most, { id }) => Math.max(most, id), largest);
}

function readTokenizerConfig(folder: string): TokenizerConfig {
  if (!existsSync(join(folder, TOKENIZER_CONFIG_FILE))) return {};
  const parsed = tokenizerConfigSchema.safeParse(readJson(folder, TOKENIZER_CONFIG_FILE));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalidFile(
    TOKENIZER_CONFIG_FILE,
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is malformed'}.`,
  );
}

function idOfSpecial(
  json: TokenizerJson,
  field: string,
  token: string | null | undefined,
): number | undefined {
  if (token === null || token === undefined) return undefined;
  const id = findTokenId(json, token);
  if (id !== undefined) return id;
  throw invalidFile(
    TOKENIZER_CONFIG_FILE,
    `${field} is ${JSON.stringify(token)}; expected a token of ${TOKENIZER_FILE}, found none of this text.`,
  );
}

function loadChatTemplate(folder: string, tokenizerConfig: TokenizerConfig): ChatTemplate | undefined {
  const variables = Object.fromEntries(
    Object.entries(tokenizerConfig).filter(
      (entry): entry is [string, string] => entry[0].endsWith('_token') && typeof entry[1] === 'string',
    ),
  );
  // As in transformers, the file of its own wins over the field.
  const path = join(folder, CHAT_TEMPLATE_FILE);
  if (existsSync(path)) return parseChatTemplate(readFileSync(path, 'utf8'), variables, CHAT_TEMPLATE_FILE);
  const field = tokenizerConfig.chat_template;
  if (field === null || field === undefined) return undefined;
  const parsed = (name: string): ChatTemplate | undefined => {
    const source = typeof field === 'string' ? field : field.find((each) => each.name === name)?.template;
    return source === undefined ? undefined : parseChatTemplate(source, variables, TOKENIZER_CONFIG_FILE);
  };
  const [plain, forTools] =
    typeof field === 'string' ? [parsed('')] : [parsed('default'), parsed('tool_use')];
  return plain && (forTools === undefined ? plain : withToolTemplate(plain, forTools));
}
