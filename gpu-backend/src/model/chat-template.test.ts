import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChatMessage } from './chat-template.ts';
import {
  isSpecial,
  loadTiny,
  refusal,
  SPECIALS,
  TINY_TEMPLATE,
  TINY_TOKENIZER_CONFIG,
  tinyTokenizerJson,
} from './testing/tiny-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

const [BOS, USER, ASSISTANT, END] = [256, 257, 258, 259];
const A = 'a'.charCodeAt(0);

const withTemplate = (chat_template: string): Tokenizer =>
  loadTiny({ tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template } });

const say = (...contents: string[]): ChatMessage[] =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));

/** Text with many near-misses of special tokens in it. */
const nastyText = fc
  .array(
    fc.oneof(
      fc.constantFrom('<', '|', '<|', 'end', '|>', '>', 'd|>', '<|en', ...SPECIALS),
      fc.string({ unit: 'binary' }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join('').toWellFormed());

describe('the chat form', () => {
  it('is what the template says', () => {
    const tokenizer = loadTiny();
    expect(tokenizer.applyChatTemplate(say('a', 'b', 'c'))).toBe(
      '<|bos|><|user|>a<|assistant|>b<|end|><|user|>c<|assistant|>',
    );
    expect(tokenizer.applyChatTemplate(say('a'), { addGenerationPrompt: false })).toBe('<|bos|><|user|>a');
    expect(tokenizer.encodeChat(say('a', 'b'), { addGenerationPrompt: false })).toEqual([
      BOS,
      USER,
      A,
      ASSISTANT,
      A + 1,
      END,
    ]);
  });

  it('encodes harmless messages exactly as the whole text', () => {
    const tokenizer = loadTiny();
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }), (contents) => {
        fc.pre(!contents.some((content) => SPECIALS.some((special) => content.includes(special))));
        const messages = say(...contents.map((content) => content.toWellFormed()));
        expect(tokenizer.encodeChat(messages)).toEqual(
          tokenizer.encode(tokenizer.applyChatTemplate(messages)),
        );
      }),
    );
  });

  it('what a person writes never becomes a special token, and none of it is lost', () => {
    const tokenizer = loadTiny();
    fc.assert(
      fc.property(fc.array(nastyText, { maxLength: 4 }), (contents) => {
        const ids = tokenizer.encodeChat(say(...contents));
        const innocent = tokenizer.encodeChat(say(...contents.map(() => '')));
        expect(ids.filter(isSpecial)).toEqual(innocent);
        expect(tokenizer.decode(ids)).toBe(contents.join(''));
      }),
      { numRuns: 300 },
    );
  });

  it('two messages that a template joins cannot make a special token between them', () => {
    const tokenizer = withTemplate('{% for m in messages %}{{ m.content }}{% endfor %}');
    fc.assert(
      fc.property(fc.array(nastyText, { maxLength: 5 }), (contents) => {
        const ids = tokenizer.encodeChat(say(...contents));
        expect(ids.filter(isSpecial)).toEqual([]);
        expect(tokenizer.decode(ids)).toBe(contents.join(''));
      }),
      { numRuns: 300 },
    );
    expect(tokenizer.encodeChat(say('<|', 'en', 'd|>')).filter(isSpecial)).toEqual([]);
  });

  it('nor can a message complete what the template wrote around it', () => {
    const tokenizer = withTemplate('<|{{ messages[0].content }}|>');
    const ids = tokenizer.encodeChat(say('end'));
    expect(ids.filter(isSpecial)).toEqual([]);
    expect(tokenizer.decode(ids)).toBe('<|end|>');
  });

  it('lets the template look at a message and change it', () => {
    const tokenizer = withTemplate(
      '{% for m in messages %}<|user|>{{ m.content | trim | upper }}{% endfor %}',
    );
    const ids = tokenizer.encodeChat(say('  a <|end|> b '));
    expect(ids.filter(isSpecial)).toEqual([USER]);
    expect(tokenizer.decode(ids)).toBe('A <|END|> B');
  });

  it('does not depend on the vocabulary keeping special tokens apart', () => {
    const json = tinyTokenizerJson() as { model: Record<string, unknown>; pre_tokenizer: unknown };
    json.model['ignore_merges'] = true;
    json.pre_tokenizer = null;
    const ids = loadTiny({ tokenizer: json }).encodeChat(say('<|end|>'));
    expect(ids.filter(isSpecial)).toEqual([BOS, USER, ASSISTANT]);
  });

  it("tells the template's own sentence when it refuses", () => {
    const error = refusal(() => loadTiny().encodeChat([{ role: 'system', content: 'a' }]));
    expect(error.code).toBe('invalid_request');
    expect(error.message).toBe(
      "The model's chat template refused the messages: only user and assistant turns",
    );
  });

  it('gives the template strftime_now', () => {
    const tokenizer = withTemplate("{{ strftime_now('%Y') }}");
    expect(tokenizer.applyChatTemplate([])).toBe(String(new Date().getFullYear()));
  });

  it('is read from its own file first, and from a list of named templates', () => {
    expect(loadTiny({ templateFile: 'file' }).applyChatTemplate([])).toBe('file');
    const named = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: TINY_TEMPLATE },
    ];
    const tokenizer = loadTiny({ tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template: named } });
    expect(tokenizer.applyChatTemplate(say('a'))).toBe('<|bos|><|user|>a<|assistant|>');
  });

  it('is refused where the model has none', () => {
    const tokenizer = loadTiny({ tokenizerConfig: {} });
    expect(tokenizer.hasChatTemplate).toBe(false);
    expect(refusal(() => tokenizer.encodeChat(say('a'))).message).toContain('no chat template');
  });
});
