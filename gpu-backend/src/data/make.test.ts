import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTokenizer, parseTokenizerJson } from '../model/tokenizer.ts';
import { makeData } from './make.ts';
import { PARTS } from './mix.ts';
import { specialTokenId } from './special-tokens.ts';
import type { HeldOutExample } from './splits.ts';
import { heldOutExamples } from './splits.ts';
import { makeTasks } from './tasks.ts';
import { openTokenFile } from './token-file.ts';

const parent = mkdtempSync(join(tmpdir(), 'tidar-data-'));
const folders = [join(parent, 'first'), join(parent, 'second')] as const;
const options = {
  seed: 1,
  vocabSize: 2048,
  numTokens: 200_000,
  shares: { arithmetic: 50, factbook: 15, typescript: 25, json: 10 },
  numValidationExamples: 100,
};
const lines: string[] = [];

beforeAll(async () => {
  for (const outFolder of folders) {
    await makeData({ ...options, outFolder }, (line) => lines.push(line));
  }
}, 120_000);
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
    const files = readdirSync(folders[0], { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => relative(folders[0], join(parentPath, name)))
      .toSorted();
    expect(files).toEqual([
      'heldout.jsonl',
      'tasks/arithmetic-chains.jsonl',
      'tasks/arithmetic-new.jsonl',
      'tasks/arithmetic-seen.jsonl',
      'tasks/continuation-choices.jsonl',
      'tasks/factbook.jsonl',
      'tasks/json.jsonl',
      'tasks/typescript.jsonl',
      'tokenizer.json',
      'tokenizer_config.json',
      'train.bin',
      'train.index.bin',
      'valid.bin',
      'valid.index.bin',
    ]);
    for (const name of files) expect(readFileSync(join(folders[1], name)).equals(read(name))).toBe(true);
  });

  it('writes whole chats, one after another', () => {
    const documents = trainingDocuments();
    expect(documents.length).toBeGreaterThan(400);
    for (const document of documents) {
      expect(document).toMatch(/^<\|bos\|>(<\|user\|>(?:(?!<\|).)+<\|assistant\|>(?:(?!<\|).)+<\|end\|>)+$/s);
    }
    const { ids } = openTokenFile(join(folders[0], 'train.bin'));
    expect(ids).not.toContain(specialTokenId('<|mask|>'));
    expect(ids.every((id) => id < 2048)).toBe(true);
  });

  it('trains on no held-out question', () => {
    const trained = new Set(
      trainingDocuments().flatMap((document) =>
        [...document.matchAll(/<\|user\|>((?:(?!<\|).)*)<\|assist/gs)].map(([, question]) => question),
      ),
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

  it('mixes the parts by their shares of the tokens', () => {
    const tokensOf = (name: string): number =>
      Number(/(\d+) tokens/.exec(lines.find((line) => line.startsWith(name)) ?? '')?.[1]);
    const shares = PARTS.map((part) => tokensOf(part) / tokensOf('training'));
    for (const [i, share] of [0.5, 0.15, 0.25, 0.1].entries()) expect(shares[i]).toBeCloseTo(share, 2);
  });
});

const taskFolder = new URL('../../tasks/', import.meta.url);
const tasks = makeTasks(1);

describe('makeData with a tokenizer given', () => {
  it('goes on with it, byte for byte, and so encodes the same documents to the same ids', async () => {
    const outFolder = join(parent, 'third');
    const tokenizer = join(folders[0], 'tokenizer.json');
    await makeData({ ...options, outFolder, tokenizer, vocabSize: 1 }, () => {});
    for (const name of ['tokenizer.json', 'train.bin', 'valid.bin'])
      expect(readFileSync(join(outFolder, name)).equals(read(name))).toBe(true);
  });

  it.each([
    ['is not there', 'nowhere.json', 'no file'],
    ['has other special tokens', 'other.json', '<|bos|>'],
  ])('refuses one that %s', async (_, name, problem) => {
    const tokenizer = join(parent, name);
    const json = JSON.parse(read('tokenizer.json').toString()) as { added_tokens: { id: number }[] };
    json.added_tokens.forEach((token) => token.id++);
    writeFileSync(join(parent, 'other.json'), JSON.stringify(json));
    await expect(makeData({ ...options, outFolder: parent, tokenizer }, () => {})).rejects.toThrow(problem);
  });
});

describe('files that are committed', () => {
  it.each(readdirSync(taskFolder).filter((name) => name in tasks))(
    'the task %s is the one that is made',
    (name) => {
      expect(readFileSync(new URL(name, taskFolder), 'utf8')).toBe(read(join('tasks', name)).toString());
    },
  );

  it('every task is there, and the State of the Union, which is not made', () => {
    const committed = readdirSync(taskFolder).filter((name) => name.endsWith('.jsonl'));
    expect(committed.toSorted()).toEqual([...Object.keys(tasks), 'state-of-the-union.jsonl'].toSorted());
  });

  it('questions.json holds the first twenty held-out questions', () => {
    const path = new URL('../../../test/fixtures/questions.json', import.meta.url);
    const fixture = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    const expected = heldOutExamples(1).filter(({ kind }) => kind === 'seen-template');
    expect(fixture).toEqual(
      expected.slice(0, 20).map(({ question, expected: answer }) => ({ question, expected: answer })),
    );
  });
});
