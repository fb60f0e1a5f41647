import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenizerFiles } from './testing/tiny-tokenizer.ts';
import {
  isSpecial,
  LLAMA2_DECODER,
  loadTiny,
  refusal,
  SPECIALS,
  tinyTokenizerJson,
} from './testing/tiny-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

const BOS = 256;
const END = 259;
const A = 'a'.charCodeAt(0);

describe('encoding and decoding', () => {
  it('any text survives encode and decode', () => {
    const tokenizer = loadTiny();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const wellFormed = text.toWellFormed();
        fc.pre(!SPECIALS.some((special) => wellFormed.includes(special)));
        expect(tokenizer.decode(tokenizer.encode(wellFormed))).toBe(wellFormed);
      }),
    );
  });

  it('merges in rank order, and adds no special tokens', () => {
    const tokenizer = loadTiny();
    const json = tinyTokenizerJson() as { model: { vocab: Record<string, number> } };
    const ids = ['the', 'Ġthe', 'Ġand'].map((token) => json.model.vocab[token]);
    expect(tokenizer.encode('the the and')).toEqual(ids);
  });

  it('reads the text of a special token as that token, and gives it no text', () => {
    const tokenizer = loadTiny();
    expect(tokenizer.encode('<|bos|>a<|end|>')).toEqual([BOS, A, END]);
    expect(tokenizer.decode([BOS, A, END])).toBe('a');
  });

  it('knows each token as the bytes that it adds, and a special one by its name alone', () => {
    const tokenizer = loadTiny();
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!SPECIALS.some((special) => text.includes(special)));
        const bytes = tokenizer.encode(text).flatMap((id) => [...tokenizer.bytesOf(id)!]);
        expect(bytes).toEqual([...new TextEncoder().encode(text)]);
      }),
    );
    expect([tokenizer.bytesOf(END), tokenizer.specialName(END)]).toEqual([undefined, '<|end|>']);
    expect(tokenizer.specialName(A)).toBeUndefined();
    expect([tokenizer.bytesOf(299), tokenizer.specialName(299)]).toEqual([undefined, undefined]);
  });

  it.each(['toString', '__proto__', 'constructor'])('a token may be called %s', (name) => {
    const json = tinyTokenizerJson();
    const model = json['model'] as { vocab: object };
    const vocab = Object.fromEntries([...Object.entries(model.vocab), [name, 274]]);
    const tokenizer = loadTiny({ tokenizer: { ...json, model: { ...model, vocab } } });
    expect(tokenizer.vocabSize).toBe(275);
    expect(tokenizer.decode([274])).toBe(name);
    expect(tokenizer.decode(tokenizer.encode(name))).toBe(name);
  });

  it('gives an id without a token no text', () => {
    expect(loadTiny().decode([A, 299, A])).toBe('aa');
  });

  it('decodes any ids as @huggingface/tokenizers does', () => {
    const tokenizer = loadTiny();
    const reference = new HuggingFaceTokenizer(tinyTokenizerJson(), {});
    fc.assert(
      fc.property(fc.array(fc.nat(273), { minLength: 1 }), (ids) => {
        const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
        const isAllSpecial = ids.every(isSpecial);
        expect(tokenizer.decode(ids)).toBe(isAllSpecial ? '' : reference.decode(ids, options));
      }),
    );
  });
});

describe('a text stream', () => {
  const chunked = fc.array(fc.array(fc.nat(299), { maxLength: 4 }), { maxLength: 12 });

  it('gives in parts what decode gives of all, for any ids in any parts', () => {
    const tokenizer = loadTiny();
    fc.assert(
      fc.property(chunked, (chunks) => {
        const stream = tokenizer.stream();
        const parts = chunks.map((ids) => stream.push(ids));
        expect(parts.join('') + stream.flush()).toBe(tokenizer.decode(chunks.flat()));
      }),
    );
  });

  it('gives only whole characters, each as soon as it is whole', () => {
    const tokenizer = loadTiny();
    const stream = tokenizer.stream();
    const ids = tokenizer.encode('aé€😀');
    const parts = ids.map((id) => stream.push([id]));
    expect(parts.filter((part) => part !== '')).toEqual(['a', 'é', '€', '😀']);
    expect(stream.flush()).toBe('');
  });

  it('shows a character that was never completed as U+FFFD, at the end', () => {
    const tokenizer = loadTiny();
    const stream = tokenizer.stream();
    expect(stream.push(tokenizer.encode('€').slice(0, 2))).toBe('');
    expect(stream.flush()).toBe('\u{FFFD}');
  });
});

describe("Llama 2's decoder", () => {
  const tokens = ['<s>', '</s>', '▁a', 'b', '▁', '<0xE2>', '<0x82>', '<0xAC>', '▁▁c'];
  const tokenizerJson = {
    ...tinyTokenizerJson(),
    pre_tokenizer: null,
    added_tokens: [0, 1].map((id) => ({ id, content: tokens[id], special: true })),
    decoder: LLAMA2_DECODER,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
      byte_fallback: true,
    },
  };
  const loadLlama = (): Tokenizer => loadTiny({ tokenizer: tokenizerJson, tokenizerConfig: {} });

  it('takes one space from the start, and joins bytes to characters', () => {
    expect(loadLlama().decode([0, 2, 3, 4, 5, 6, 7, 8])).toBe('ab €  c');
  });

  it('decodes text as @huggingface/tokenizers does, in any parts', () => {
    const tokenizer = loadLlama();
    const reference = new HuggingFaceTokenizer(tokenizerJson, {});
    const wholeCharacter = fc.constantFrom([2], [3], [4], [8], [5, 6, 7]);
    fc.assert(
      fc.property(fc.array(wholeCharacter, { minLength: 1 }), (chunks) => {
        const stream = tokenizer.stream();
        const parts = chunks.flat().map((id) => stream.push([id]));
        const expected = reference.decode(chunks.flat(), { clean_up_tokenization_spaces: false });
        expect(parts.join('') + stream.flush()).toBe(expected);
      }),
    );
  });
});

describe('a tokenizer that cannot be used is refused with one sentence:', () => {
  it.each<[string, TokenizerFiles, string]>([
    [
      'Unigram',
      { tokenizer: { ...tinyTokenizerJson(), model: { type: 'Unigram', vocab: [] } } },
      'tokenizer.json: model.type is not "BPE"',
    ],
    [
      'a vocabulary that is a list',
      { tokenizer: { ...tinyTokenizerJson(), model: { type: 'BPE', vocab: ['a'], merges: [] } } },
      'tokenizer.json: model.vocab: expected an object from tokens to token ids.',
    ],
    [
      'another decoder',
      { tokenizer: { ...tinyTokenizerJson(), decoder: { type: 'WordPiece' } } },
      'tokenizer.json: decoder is "WordPiece", which is not implemented',
    ],
    [
      'a decoder missing',
      { tokenizer: { ...tinyTokenizerJson(), decoder: null } },
      'tokenizer.json: decoder is null',
    ],
    [
      'an unknown pre-tokenizer',
      { tokenizer: { ...tinyTokenizerJson(), pre_tokenizer: { type: 'Magic' } } },
      'tokenizer.json: cannot be used (',
    ],
    [
      'a template that does not parse',
      { tokenizerConfig: { chat_template: '{% if %}' } },
      'tokenizer_config.json: the chat template cannot be parsed (',
    ],
    [
      'a template file that does not parse',
      { templateFile: '{{' },
      'chat_template.jinja: the chat template cannot be parsed (',
    ],
    [
      'an end token that is none',
      { tokenizerConfig: { eos_token: '</s>' } },
      'tokenizer_config.json: eos_token is "</s>"; expected a token of tokenizer.json',
    ],
  ])('%s', (_, files, sentence) => {
    const error = refusal(() => loadTiny(files));
    expect(error.code).toBe('model_folder_invalid');
    expect(error.message).toContain(sentence);
  });
});
