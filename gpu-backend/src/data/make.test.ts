import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTokenizer, parseTokenizerJson } from '../model/tokenizer.ts';
import { makeData } from './make.ts';
import { specialTokenId } from './special-tokens.ts';
import type { HeldOutExample } from './splits.ts';
import { heldOutExamples } from './splits.ts';
import { openTokenFile } from './token-file.ts';

const parent = mkdtempSync(join(tmpdir(), 'tidar-data-'));
const folders = [join(parent, 'first'), join(parent, 'second')] as const;
const lines: string[] = [];

beforeAll(async () => {
  for (const outFolder of folders) {
    const sizes = { seed: 1, vocabSize: 1024, numArithmeticTokens: 30_000, numValidationExamples: 50 };
    await makeData({ outFolder, ...sizes }, (line) => lines.push(line));
  }
}, 60_000);
afterAll(() => rmSync(parent, { recursive: true }));

const read = (name: string): Buffer => readFileSync(join(folders[0], name));
const heldOut = (): HeldOutExample[] =>
  read('heldout.jsonl')
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as HeldOutExample);

function trainingDocuments(): string[] {
  const json = parseTokenizerJson(JSON.parse(read('tokenizer.json').toString()), 'tokenizer.json');
  const withSpecialsAsText = { ...json, added_tokens: [] };
  const tokenizer = makeTokenizer(withSpecialsAsText, { fileName: 'tokenizer.json', eosTokenIds: [] });
  const { ids, documentStarts } = openTokenFile(join(folders[0], 'train.bin'));
  return Array.from(documentStarts, (start, d) =>
    tokenizer.decode([...ids.subarray(start, documentStarts[d + 1])]),
  );
}

describe('makeData', () => {
  it('writes the same bytes each time', () => {
    const names = readdirSync(folders[0]);
    expect(names.toSorted()).toEqual([
      'heldout.jsonl',
      'tokenizer.json',
      'tokenizer_config.json',
      'train.bin',
      'train.index.bin',
      'valid.bin',
      'valid.index.bin',
    ]);
    for (const name of names) expect(readFileSync(join(folders[1], name)).equals(read(name))).toBe(true);
  });

  it('writes whole chats, one after another', () => {
    const documents = trainingDocuments();
    expect(documents.length).toBeGreaterThan(400);
    for (const document of documents) {
      expect(document).toMatch(/^<\|bos\|><\|user\|>[^|]+<\|assistant\|>[^|]+<\|end\|>$/);
    }
    const { ids } = openTokenFile(join(folders[0], 'train.bin'));
    expect(ids).not.toContain(specialTokenId('<|mask|>'));
    expect(Math.max(...ids)).toBeLessThan(1024);
  });

  it('trains on no held-out question', () => {
    const trained = new Set(
      trainingDocuments().map((document) => /<\|user\|>(.*)<\|assist/s.exec(document)?.[1]),
    );
    expect(heldOut().filter(({ question }) => trained.has(question))).toEqual([]);
  });

  it('has 400, 200, 200 and 200 questions of the four kinds', () => {
    const counts = Object.groupBy(heldOut(), ({ kind }) => kind);
    expect(Object.entries(counts).map(([kind, examples]) => [kind, examples.length])).toEqual([
      ['seen-template', 400],
      ['new-template', 200],
      ['longer-chain', 200],
      ['factbook', 200],
    ]);
  });

  it('mixes in the factbook as 15% of the tokens', () => {
    const tokensOf = (name: string): number =>
      Number(new RegExp(`(\\d+) tokens`).exec(lines.find((line) => line.startsWith(name)) ?? '')?.[1]);
    expect(tokensOf('factbook, repeated') / tokensOf('training')).toBeCloseTo(0.15, 2);
  });
});

describe('files that are committed', () => {
  it.each(['tokenizer.json', 'tokenizer_config.json'])(
    "the demo model's %s is the one that is made",
    (name) => {
      const path = new URL(`../../models/demo/${name}`, import.meta.url);
      expect(readFileSync(path).equals(read(name))).toBe(true);
    },
  );

  it('questions.json holds the first twenty held-out questions', () => {
    const path = new URL('../../../test/fixtures/questions.json', import.meta.url);
    const fixture = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    const expected = heldOutExamples(1).filter(({ kind }) => kind === 'seen-template');
    expect(fixture).toEqual(
      expected.slice(0, 20).map(({ question, expected: answer }) => ({ question, expected: answer })),
    );
  });
});
