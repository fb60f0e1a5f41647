import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { tokenizerOf } from './from-folder.ts';
import { encodeTexts } from './encode.ts';
import { assertIdsBelow, hasTokenText, openTokenText, writeTokenText } from './token-text.ts';
import type { TokenText } from './token-text.ts';

const MODEL = 'gpu-backend/models/demo';

function documentsOf({ ids, documentStarts }: TokenText): number[][] {
  return [...documentStarts].map((start, at) => [...ids.subarray(start, documentStarts[at + 1])]);
}

function written(lines: readonly unknown[]): string {
  const file = path.join(temporaryFolder(), 'texts.jsonl');
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return file;
}

describe('a data folder of one’s own text', () => {
  it('holds text between start and end token, and chats as the model’s template writes them', () => {
    const tokenizer = loadModelFolder(MODEL).tokenizer!;
    const lines = [
      { text: 'Tom has 3 apples. <|end|>' },
      { question: 'How many?', answer: '3' },
      {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: 'Hello.' },
        ],
      },
    ];
    const data = temporaryFolder();
    expect(encodeTexts(written(lines), MODEL, data)).toMatchObject({ numDocuments: 2, numHeldOut: 1 });
    const [first, second] = documentsOf(openTokenText(data, 'train'));
    const [held] = documentsOf(openTokenText(data, 'valid'));
    const text = (ids: number[]) =>
      ids.map((id) => tokenizer.specialName(id) ?? tokenizer.decode([id])).join('');
    expect(first!.at(0)).toBe(tokenizer.bosTokenId);
    expect(tokenizer.eosTokenIds).toContain(first!.at(-1));
    expect(text(first!)).toMatch(/^<\|bos\|>Tom has 3 apples\. .*<\|end\|>$/);
    expect(text(second!)).toBe('<|bos|><|user|>How many?<|assistant|>3<|end|>');
    expect(text(held!)).toBe('<|bos|><|user|>Hi<|assistant|>Hello.<|end|>');
    expect(tokenizerOf(data)?.model).toEqual(tokenizerOf(MODEL)?.model);
  });

  it('says which line it can’t read', () => {
    const data = temporaryFolder();
    expect(() => encodeTexts(written([{ text: 'a' }, { texts: 'b' }]), MODEL, data)).toThrow(
      /:2: expected "text"/,
    );
    expect(() => encodeTexts(written([{ text: 'a' }]), MODEL, data)).toThrow(/two documents/);
  });

  it('keeps ids of any vocabulary, in 16 bits where they fit', () => {
    for (const vocabSize of [65_536, 65_537, 151_936]) {
      const folder = temporaryFolder();
      const documents = [[0, vocabSize - 1, 7], [65_535], [1, 2]];
      expect(hasTokenText(folder, 'train')).toBe(false);
      writeTokenText(folder, 'train', documents, vocabSize);
      const text = openTokenText(folder, 'train');
      expect(documentsOf(text)).toEqual(documents);
      expect(text.ids.BYTES_PER_ELEMENT).toBe(vocabSize > 65_536 ? 4 : 2);
      expect(() => assertIdsBelow(text, vocabSize, folder)).not.toThrow();
      expect(() => assertIdsBelow(text, vocabSize - 1, folder)).toThrow(`token id ${vocabSize - 1}`);
    }
  });
});
