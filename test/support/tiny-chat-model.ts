import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FIXTURE = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
const SYMBOLS = [...'abcdefghijklmnopqrstuvwxyz', 'Ġ', ...'0123456789', ...'?.!,+-='];
const SPECIALS = { '<|pad|>': 0, '<|bos|>': 1, '<|end|>': 2, '<|mask|>': 47 };

export interface TinyChatModel {
  path: string;
  remove(): Promise<void>;
}

/**
 * The golden Llama with a tokenizer of single characters, so that the real backend can serve chats from it. Its
 * answers make no sense, but they are a real model's.
 */
export async function makeTinyChatModel(): Promise<TinyChatModel> {
  const scratch = await mkdtemp(join(tmpdir(), 'tidar-model-'));
  const path = join(scratch, 'tiny-chat');
  await cp(FIXTURE, path, { recursive: true });
  await writeFile(join(path, 'tokenizer.json'), JSON.stringify(tokenizer()));
  await writeFile(join(path, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig()));
  return { path, remove: () => rm(scratch, { recursive: true, force: true }) };
}

function tokenizer(): object {
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const firstSymbolId = 3;
  return {
    version: '1.0',
    added_tokens: Object.entries(SPECIALS).map(([content, id]) => ({ id, content, ...special })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      vocab: {
        ...SPECIALS,
        ...Object.fromEntries(SYMBOLS.map((symbol, index) => [symbol, index + firstSymbolId])),
      },
      merges: [],
    },
  };
}

function tokenizerConfig(): object {
  return {
    bos_token: '<|bos|>',
    eos_token: '<|end|>',
    chat_template: "{{ '<|bos|>' }}{% for message in messages %}{{ message.content }}{% endfor %}",
  };
}
