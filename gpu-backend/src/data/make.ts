/** `npm run data`: makes the demo model's tokenizer and its training, validation and held-out data. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from 'tokenizers';
import { z } from 'zod';
import {
  assertNoStray,
  FlagError,
  numberFlag,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
} from '../cli/flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import { findTokenId, parseTokenizerJson } from '../model/tokenizer.ts';
import type { Chat, Part } from './mix.ts';
import { PARTS, trainingChats, validationChats } from './mix.ts';
import { Random } from './random.ts';
import { chatDocument, specialTokenId, specialTokens } from './special-tokens.ts';
import type { EncodedTurn } from './special-tokens.ts';
import { heldOutExamples } from './splits.ts';
import { writeTasks } from './tasks.ts';
import { writeTokenFile } from './token-file.ts';
import { tokenizerConfig, trainTokenizer } from './tokenizer-training.ts';

export interface DataOptions {
  outFolder: string;
  seed: number;
  vocabSize: number;
  numTokens: number;
  /** Shares of the tokens, in percent; they sum to 100. */
  shares: Record<Part, number>;
  numValidationExamples: number;
  /** A tokenizer.json to go on with, where a model has one already; otherwise one is trained. */
  tokenizer?: string | undefined;
}

const defaults = {
  'out-folder': '.runs/data',
  seed: '1',
  'vocab-size': '2048',
  tokens: '14000000',
  'arithmetic-share': '50',
  'factbook-share': '15',
  'typescript-share': '25',
  'json-share': '10',
  'validation-examples': '1000',
};
/** A document has to fit into a training sequence. */
const maxDocumentTokens = 256;
const contextLength = 256;
const batchSize = 2_000;
/** The BPE learns from two characters for each token of the mix, and from no more than these. */
const numTokenizerCharacters = 6_000_000;

type Document = readonly EncodedTurn[];

/** Writes all files into the folder; the same options give the same bytes. */
export async function makeData(options: DataOptions, log: (line: string) => void): Promise<void> {
  const { outFolder, seed, numTokens, numValidationExamples, shares } = options;
  mkdirSync(outFolder, { recursive: true });
  const encode = encoder(writeTokenizer(options));
  const training: Document[] = [];
  const validation: Document[] = [];
  for (const part of PARTS) {
    const documents = await encodeUntil(trainingChats(part, seed), (numTokens * shares[part]) / 100, encode);
    log(describe(part, documents));
    for (const document of documents) training.push(document);
    const count = Math.round((numValidationExamples * shares[part]) / 100);
    const heldOut = await encode(validationChats(part, seed, count));
    validation.push(...heldOut.filter((document) => numTokensOf(document) <= maxDocumentTokens));
  }
  new Random(seed).shuffle(training);
  new Random(seed + 1).shuffle(validation);
  writeDocuments(join(outFolder, 'train.bin'), training);
  writeDocuments(join(outFolder, 'valid.bin'), validation);
  writeHeldOut(outFolder, seed);
  writeTasks(join(outFolder, 'tasks'), seed);
  log(describe('training', training));
  log(describe('validation', validation));
  log(`written to ${outFolder}`);
}

function writeHeldOut(outFolder: string, seed: number): void {
  const lines = heldOutExamples(seed).map((example) => `${JSON.stringify(example)}\n`);
  writeFileSync(join(outFolder, 'heldout.jsonl'), lines.join(''));
}

/** Returns tokenizer.json without its special tokens: text must never become one. */
function writeTokenizer(options: DataOptions): string {
  const json =
    options.tokenizer === undefined
      ? JSON.stringify(trainTokenizer(tokenizerTexts(options), options.vocabSize))
      : readTokenizer(options.tokenizer);
  const config = `${JSON.stringify(tokenizerConfig(contextLength), null, 2)}\n`;
  writeFileSync(join(options.outFolder, 'tokenizer.json'), json);
  writeFileSync(join(options.outFolder, 'tokenizer_config.json'), config);
  return JSON.stringify({ ...z.looseObject({}).parse(JSON.parse(json)), added_tokens: [] });
}

/** A tokenizer's content as it is; it must have the special tokens where documents have them. */
function readTokenizer(path: string): string {
  if (!existsSync(path)) throw new FlagError(`--tokenizer: there is no file ${path}.`);
  const content = readFileSync(path, 'utf8');
  const json = parseTokenizerJson(JSON.parse(content), path);
  const other = specialTokens.find((token) => findTokenId(json, token) !== specialTokenId(token));
  if (other !== undefined)
    throw new FlagError(`--tokenizer: ${path} does not have ${other} as id ${specialTokenId(other)}.`);
  return content;
}

/** The mix, by characters. */
function tokenizerTexts({ seed, shares, numTokens }: DataOptions): string[] {
  return PARTS.flatMap((part) => {
    const texts: string[] = [];
    let room = (Math.min(numTokenizerCharacters, 2 * numTokens) * shares[part]) / 100;
    for (const chat of trainingChats(part, seed)) {
      if (room <= 0) break;
      for (const { question, answer } of chat) {
        texts.push(question, answer);
        room -= question.length + answer.length;
      }
    }
    return texts;
  });
}

type Encode = (chats: readonly Chat[]) => Promise<Document[]>;

function encoder(tokenizerContent: string): Encode {
  const tokenizer = Tokenizer.fromString(tokenizerContent);
  return async (chats) => {
    const texts = chats.flatMap((chat) => chat.flatMap(({ question, answer }) => [question, answer]));
    const encodings = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    const ids = encodings.map((encoding) => encoding.getIds()).values();
    const next = (): number[] => ids.next().value ?? [];
    return chats.map((chat) => chat.map(() => ({ questionIds: next(), answerIds: next() })));
  };
}

/** Documents until they have so many tokens; those that are longer than a sequence are left out. */
async function encodeUntil(
  chats: Iterator<Chat, never>,
  numTokens: number,
  encode: Encode,
): Promise<Document[]> {
  const documents: Document[] = [];
  let count = 0;
  while (count < numTokens) {
    const batch = Array.from({ length: batchSize }, () => chats.next().value);
    for (const document of await encode(batch)) {
      const length = numTokensOf(document);
      if (count >= numTokens || length > maxDocumentTokens) continue;
      count += length;
      documents.push(document);
    }
  }
  return documents;
}

function numTokensOf(document: Document): number {
  return document.reduce(
    (sum, { questionIds, answerIds }) => sum + questionIds.length + answerIds.length + 3,
    1,
  );
}

function writeDocuments(path: string, documents: readonly Document[]): void {
  writeTokenFile(path, documents.map(chatDocument));
}

function describe(name: string, documents: readonly Document[]): string {
  const mean = (lengths: number[]): string =>
    (lengths.reduce((a, b) => a + b, 0) / lengths.length).toFixed(1);
  const turns = documents.flat();
  const numTokens = documents.reduce((sum, each) => sum + numTokensOf(each), 0);
  const questions = mean(turns.map((each) => each.questionIds.length));
  const answers = mean(turns.map((each) => each.answerIds.length));
  const longest = documents.reduce((most, each) => Math.max(most, numTokensOf(each)), 0);
  return (
    `${name}: ${documents.length} documents, ${numTokens} tokens ` +
    `(mean question ${questions}, mean answer ${answers}, longest document ${longest})`
  );
}

const HELP = `npm run data [-- options]      makes the texts and the tokenizer that npm run train reads

${Object.entries(defaults)
  .map(([name, value]) => `  --${name.padEnd(22)}default ${value}`)
  .join('\n')}
  --tokenizer FILE        goes on with a tokenizer.json instead of training one
  --help                  this text`;

async function main(): Promise<void> {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' as const }]),
  );
  const flags = parseFlags(process.argv.slice(2), {
    ...options,
    tokenizer: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  assertNoStray(flags);
  if (flags.values['help'] === true) {
    console.log(HELP);
    return;
  }
  await makeData(readOptions(flags), (line) => console.log(line));
}

function readOptions(flags: ParsedFlags): DataOptions {
  const count = (name: keyof typeof defaults, least = 1): number =>
    numberFlag(flags, name, Number(defaults[name]), wholeNumber(least));
  const share = (part: Part): number => count(`${part}-share`, 0);
  const shares = {
    arithmetic: share('arithmetic'),
    factbook: share('factbook'),
    typescript: share('typescript'),
    json: share('json'),
  };
  const sum = Object.values(shares).reduce((a, b) => a + b, 0);
  if (sum !== 100) throw new FlagError(`The shares must sum to 100; they sum to ${sum}.`);
  return {
    outFolder: stringFlag(flags, 'out-folder') ?? defaults['out-folder'],
    seed: count('seed'),
    vocabSize: count('vocab-size'),
    numTokens: count('tokens'),
    shares,
    numValidationExamples: count('validation-examples'),
    tokenizer: stringFlag(flags, 'tokenizer'),
  };
}

if (import.meta.main) await runCommand('data', main);
