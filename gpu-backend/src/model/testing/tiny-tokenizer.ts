import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../config.ts';
import { parseModelConfig } from '../config.ts';
import { BYTE_SYMBOLS } from '../token-pieces.ts';
import { loadTokenizer } from '../tokenizer-files.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Special tokens of the tiny tokenizer, at ids 256, 257 and so on. */
export const SPECIALS = ['<|bos|>', '<|user|>', '<|assistant|>', '<|end|>', '<|mask|>', '<|pad|>'];

const MERGES = ['t h', 'th e', 'Ġ the', 'i n', 'o u', 'n d', 'Ġ a', 'Ġa nd', 'e r', 'Ġ b', 'l l', 'Ã ©'];

/** The demo model's chat form. */
export const TINY_TEMPLATE =
  '{{ bos_token }}{% for message in messages %}' +
  "{% if message.role == 'user' %}<|user|>{{ message.content }}" +
  "{% elif message.role == 'assistant' %}<|assistant|>{{ message.content }}{{ eos_token }}" +
  "{% else %}{{ raise_exception('only user and assistant turns') }}{% endif %}" +
  '{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}';

export const TINY_TOKENIZER_CONFIG = {
  bos_token: '<|bos|>',
  eos_token: { content: '<|end|>', special: true },
  chat_template: TINY_TEMPLATE,
};

/** How Llama 2's tokenizer.json, made of SentencePiece's model, turns tokens to text. */
export const LLAMA2_DECODER = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

/** A tokenizer.json with all bytes, a dozen merges and a vocabulary of 274. */
export function tinyTokenizerJson(): Record<string, unknown> {
  const tokens = [...BYTE_SYMBOLS, ...SPECIALS, ...MERGES.map((merge) => merge.replace(' ', ''))];
  const specials = SPECIALS.map((content, i) => ({ id: 256 + i, content, special: true, normalized: false }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: specials,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: MERGES.map((merge) => merge.split(' ')),
    },
  };
}

const CONFIG: ModelConfig = parseModelConfig(
  {
    model_type: 'llama',
    vocab_size: 300,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 8,
    bos_token_id: null,
    eos_token_id: null,
  },
  'config.json',
);
export interface TokenizerFiles {
  tokenizer?: Record<string, unknown>;
  tokenizerConfig?: Record<string, unknown>;
  templateFile?: string;
}

/** Loads a tokenizer from a folder with these files; the tiny one where nothing is said. */
export function loadTiny({
  tokenizer,
  tokenizerConfig = TINY_TOKENIZER_CONFIG,
  templateFile,
}: TokenizerFiles = {}): Tokenizer {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer ?? tinyTokenizerJson()));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  if (templateFile !== undefined) writeFileSync(join(folder, 'chat_template.jinja'), templateFile);
  const loaded = loadTokenizer(folder, CONFIG);
  if (loaded === undefined) throw new Error('no tokenizer was found');
  return loaded;
}

/** Whether this is the id of one of the tiny tokenizer's special tokens. */
export const isSpecial = (id: number): boolean => id >= 256 && id < 256 + SPECIALS.length;

/** The error that an act ends in; throws where there is none or of another kind. */
export function refusal(act: () => unknown): TidarError {
  try {
    act();
  } catch (error) {
    if (error instanceof TidarError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
