import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeRandomModel } from '../../gpu-backend/src/cli/random-model/write.ts';
import { llamaCppFile } from '../../gpu-backend/src/model/testing/llama-cpp-files.ts';
import { BYTE_SYMBOLS } from '../../gpu-backend/src/model/token-pieces.ts';

export interface ToolChatModel {
  path: string;
  /** The id of a token that marks something. */
  idOf(token: string): number;
  remove(): void;
}

/** Of a real model: its chat template, and the tokens that mark its calls. */
interface Family {
  template: string;
  /** The tokens by whether they are special, as the family's own tokenizer has them. */
  tokens: Readonly<Record<string, boolean>>;
  end: string;
}

export const FAMILIES = {
  qwen3: {
    template: 'Qwen-Qwen3-0.6B',
    tokens: {
      '<|im_start|>': true,
      '<|im_end|>': true,
      '<tool_call>': false,
      '</tool_call>': false,
      '<think>': false,
      '</think>': false,
    },
    end: '<|im_end|>',
  },
  llama: {
    template: 'meta-llama-Llama-3.1-8B-Instruct',
    tokens: {
      '<|start_header_id|>': true,
      '<|end_header_id|>': true,
      '<|eot_id|>': true,
      '<|python_tag|>': true,
    },
    end: '<|eot_id|>',
  },
  mistral: {
    template: 'mistralai-Mistral-Nemo-Instruct-2407',
    tokens: { '</s>': true, '[INST]': true, '[/INST]': true, '[TOOL_CALLS]': true, '[TOOL_RESULTS]': true },
    end: '</s>',
  },
  ministral: {
    template: 'mistralai-Ministral-3-14B-Reasoning-2512',
    tokens: {
      '</s>': true,
      '[INST]': true,
      '[/INST]': true,
      '[TOOL_CALLS]': true,
      '[ARGS]': true,
      '[THINK]': true,
      '[/THINK]': true,
    },
    end: '</s>',
  },
  nemotron: {
    template: 'NVIDIA-Nemotron-Nano-v2',
    tokens: { '<SPECIAL_11>': true, '<SPECIAL_12>': true },
    end: '<SPECIAL_12>',
  },
  nemotron3: {
    template: 'NVIDIA-Nemotron-3-Nano-30B-A3B-BF16',
    tokens: {
      '<|im_start|>': true,
      '<|im_end|>': true,
      '<tool_call>': false,
      '</tool_call>': false,
      '<think>': false,
      '</think>': false,
    },
    end: '<|im_end|>',
  },
} satisfies Record<string, Family>;
export type FamilyName = keyof typeof FAMILIES;

const MASK = '<|mask|>';
const VOCAB_SIZE = 288;

/**
 * A tiny model of random weights with the chat template of a real one and a tokenizer of bytes: it has never learned to
 * call tools, so what comes out right is held right by the server.
 */
export function makeToolChatModel(name: FamilyName): ToolChatModel {
  const root = mkdtempSync(join(tmpdir(), 'tidar-tools-'));
  const path = join(root, name);
  const { tokens, template, end }: Family = FAMILIES[name];
  const added = Object.entries({ [MASK]: true, ...tokens }).map(([content, special], index) => ({
    id: BYTE_SYMBOLS.length + index,
    content,
    special,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const idOf = (token: string): number => {
    const found = added.find(({ content }) => content === token);
    if (found === undefined) throw new Error(`${token} is no added token`);
    return found.id;
  };
  const config = {
    model_type: 'qwen3',
    vocab_size: VOCAB_SIZE,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    intermediate_size: 56,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    hidden_act: 'silu',
    max_position_embeddings: 8_192,
    rope_theta: 1_000_000,
    bos_token_id: null,
    eos_token_id: idOf(end),
    tidar: { mask_token_id: idOf(MASK), block_size: 4 },
  };
  writeRandomModel(path, config, 'F32');
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: '1.0',
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(BYTE_SYMBOLS.map((symbol, id) => [symbol, id])),
      merges: [],
    },
  };
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify({ eos_token: end }));
  writeFileSync(join(path, 'chat_template.jinja'), llamaCppFile(`models/templates/${template}.jinja`));
  return { path, idOf, remove: () => rmSync(root, { recursive: true, force: true }) };
}
