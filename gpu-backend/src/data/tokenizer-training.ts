import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BPE,
  byteLevelAlphabet,
  byteLevelPreTokenizer,
  digitsPreTokenizer,
  sequencePreTokenizer,
  Tokenizer,
} from 'tokenizers';
import { z } from 'zod';
import { chatTemplate, numByteTokens, specialTokens } from './special-tokens.ts';

const trainedSchema = z.object({
  model: z.object({ merges: z.array(z.tuple([z.string(), z.string()])) }),
});

/**
 * Learns a byte-level BPE of `vocabSize` tokens: the 256 bytes, the special tokens, then the merges in rank
 * order. Every digit stays a token of its own. Returns the content of tokenizer.json.
 */
export function trainTokenizer(texts: readonly string[], vocabSize: number): object {
  const numMerges = vocabSize - numByteTokens - specialTokens.length;
  if (numMerges < 0) throw new RangeError(`a vocabulary has at least ${vocabSize - numMerges} tokens`);
  const merges = learnMerges(texts).slice(0, numMerges);
  if (merges.length < numMerges) throw new RangeError(`the texts give only ${merges.length} merges`);
  return tokenizerJson(merges);
}

/** The native trainer has no option for the size: it learns up to 30,000 merges, of which the first are kept. */
function learnMerges(texts: readonly string[]): [string, string][] {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-bpe-'));
  try {
    const corpus = join(folder, 'corpus.txt');
    const trained = join(folder, 'trained.json');
    writeFileSync(corpus, texts.join('\n'));
    const tokenizer = new Tokenizer(BPE.empty());
    tokenizer.setPreTokenizer(sequencePreTokenizer([digitsPreTokenizer(true), byteLevelPreTokenizer(false)]));
    tokenizer.train([corpus]);
    tokenizer.save(trained);
    return trainedSchema.parse(JSON.parse(readFileSync(trained, 'utf8'))).model.merges;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function tokenizerJson(merges: readonly [string, string][]): object {
  // A Map: a token may be called "toString" or "__proto__".
  const vocab = new Map<string, number>();
  for (const token of [...byteSymbols(), ...specialTokens, ...merges.map(([left, right]) => left + right)]) {
    if (!vocab.has(token)) vocab.set(token, vocab.size);
  }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content) => ({
      id: vocab.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
}

/** GPT-2's printable stand-ins for the bytes, by byte value: printable bytes are themselves, the others follow 255. */
function byteSymbols(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let numShifted = 0;
  const symbols = Array.from({ length: numByteTokens }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : numByteTokens + numShifted++),
  );
  const expected = new Set(byteLevelAlphabet());
  if (!symbols.every((symbol) => expected.has(symbol)))
    throw new Error('the byte alphabet is not as expected');
  return symbols;
}

/** The content of tokenizer_config.json. */
export function tokenizerConfig(contextLength: number): object {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|bos|>',
    eos_token: '<|end|>',
    pad_token: '<|pad|>',
    mask_token: '<|mask|>',
    add_bos_token: false,
    add_eos_token: false,
    clean_up_tokenization_spaces: false,
    model_max_length: contextLength,
    chat_template: chatTemplate,
  };
}
