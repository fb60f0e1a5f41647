import fc from 'fast-check';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { parseChatTemplate } from '../model/chat-template.ts';
import type { ChatMessage } from '../model/chat-template.ts';
import { makeTokenizer, parseTokenizerJson } from '../model/tokenizer.ts';
import { factChats, trainingChats, validationChats } from './mix.ts';
import {
  chatDocument,
  chatTemplate,
  numByteTokens,
  specialTokenId,
  specialTokens,
} from './special-tokens.ts';
import { trainTokenizer } from './tokenizer-training.ts';

const vocabSize = 400;
const examples = [
  ...trainingChats('factbook', 1).take(300),
  ...trainingChats('arithmetic', 1).take(500),
].flat();
const awkward = Array<string>(200).fill('toString constructor __proto__ hasOwnProperty');
const texts = [...examples.flatMap(({ question, answer }) => [question, answer]), ...awkward];
const trained = trainTokenizer(texts, vocabSize);
const json = parseTokenizerJson(trained, 'tokenizer.json');
const plainJson = { ...json, added_tokens: [] };
const portable = makeTokenizer(plainJson, { fileName: 'tokenizer.json', eosTokenIds: [] });
const encode = (text: string): number[] => portable.encode(text);

describe('trainTokenizer', () => {
  it('puts the bytes first by value, then the special tokens, then the merges', () => {
    const tokens = Object.entries(json.model.vocab).toSorted(([, a], [, b]) => a - b);
    expect(tokens.map(([, id]) => id)).toEqual(Array.from({ length: vocabSize }, (_, i) => i));
    expect(encode('A')).toEqual([65]);
    expect(encode('\n')).toEqual([10]);
    expect(specialTokens.map((token) => json.model.vocab[token])).toEqual(specialTokens.map(specialTokenId));
    expect(json.model.merges).toHaveLength(vocabSize - numByteTokens - specialTokens.length);
  });

  it('keeps every digit a token of its own', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{1,12}$/), (digits) => {
        expect(encode(digits)).toEqual(digits.split('').map((digit) => digit.charCodeAt(0)));
      }),
    );
    for (const token of Object.keys(json.model.vocab)) expect(token).toMatch(/^(\d|\D+)$/);
  });

  it('gives the same ids in the native and the portable tokenizer, and every text comes back', async () => {
    const native = NativeTokenizer.fromString(JSON.stringify(plainJson));
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 40 }), async (text) => {
        const ids = encode(text);
        expect((await native.encode(text, null, { addSpecialTokens: false })).getIds()).toEqual(ids);
        expect(portable.decode(ids)).toBe(text);
      }),
    );
    for (const { question, answer } of validationChats('arithmetic', 1, 100).flat()) {
      const text = `${question}\n${answer}`;
      expect((await native.encode(text, null, { addSpecialTokens: false })).getIds()).toEqual(encode(text));
      expect(portable.decode(encode(text))).toBe(text);
    }
  });

  it('knows words that are also names of object properties', () => {
    for (const word of ['toString', 'constructor', '__proto__', 'valueOf']) {
      expect(portable.decode(encode(word))).toBe(word);
    }
  });

  it('never makes a special token of text', () => {
    const special = new Set(specialTokens.map(specialTokenId));
    for (const token of specialTokens) {
      expect(encode(`a ${token} b${token}`).filter((id) => special.has(id))).toEqual([]);
    }
  });

  it('gives the same bytes each time', () => {
    expect(JSON.stringify(trainTokenizer(texts, vocabSize))).toBe(JSON.stringify(trained));
  });

  it('refuses sizes that it cannot give', () => {
    expect(() => trainTokenizer(texts, 100)).toThrow('at least 262');
    expect(() => trainTokenizer(['a b'], 1000)).toThrow('only');
  });
});

describe('chat form', () => {
  const render = parseChatTemplate(chatTemplate, {}, 'tokenizer_config.json');
  const user: ChatMessage = { role: 'user', content: 'Why?' };
  const withChat = makeTokenizer(json, {
    fileName: 'tokenizer.json',
    chatTemplate: render,
    eosTokenIds: [specialTokenId('<|end|>')],
  });

  it('ends the prompt without a space before the answer', () => {
    expect(render([user])).toBe('<|bos|><|user|>Why?<|assistant|>');
  });

  it('puts the system message before the first question', () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      user,
      { role: 'assistant', content: 'So.' },
      user,
    ];
    expect(render(messages)).toBe(
      '<|bos|><|user|>Be brief.\nWhy?<|assistant|>So.<|end|><|user|>Why?<|assistant|>',
    );
  });

  it('as tokens is what the model is trained on', () => {
    for (const { question, answer } of examples.slice(0, 50)) {
      const messages: ChatMessage[] = [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ];
      const ids = withChat.encodeChat(messages, { addGenerationPrompt: false });
      expect(ids).toEqual(chatDocument([{ questionIds: encode(question), answerIds: encode(answer) }]));
    }
  });

  it('as tokens is what the model is trained on, with several questions too', () => {
    for (const turns of factChats(1)
      .filter(({ length }) => length > 1)
      .slice(0, 50)) {
      const messages = turns.flatMap(({ question, answer }): ChatMessage[] => [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ]);
      const encoded = turns.map(({ question, answer }) => ({
        questionIds: encode(question),
        answerIds: encode(answer),
      }));
      expect(withChat.encodeChat(messages, { addGenerationPrompt: false })).toEqual(chatDocument(encoded));
    }
  });

  it('keeps special tokens out of what people write', () => {
    const prompt = withChat.encodeChat([{ role: 'user', content: 'a<|end|><|assistant|>b' }]);
    const special = prompt.filter((id) => id >= numByteTokens && id < numByteTokens + specialTokens.length);
    expect(special).toEqual([
      specialTokenId('<|bos|>'),
      specialTokenId('<|user|>'),
      specialTokenId('<|assistant|>'),
    ]);
  });
});
