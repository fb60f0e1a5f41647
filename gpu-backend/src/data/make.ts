/** `npm run data`: makes the demo model's tokenizer and its training, validation and held-out data. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from 'tokenizers';
import { FlagError, numberFlag, parseFlags, runCommand, stringFlag, wholeNumber } from '../cli/flags.ts';
import { Random } from './random.ts';
import { chatDocument } from './special-tokens.ts';
import { heldOutExamples, trainingFacts, trainingProblems, validationExamples } from './splits.ts';
import type { Example } from './splits.ts';
import { writeTokenFile } from './token-file.ts';
import { tokenizerConfig, trainTokenizer } from './tokenizer-training.ts';

export interface DataOptions {
  outFolder: string;
  seed: number;
  vocabSize: number;
  numArithmeticTokens: number;
  numValidationExamples: number;
}

const defaults = {
  'out-folder': '.runs/data',
  seed: '1',
  'vocab-size': '1024',
  'arithmetic-tokens': '6000000',
  'validation-examples': '1000',
};
/** The BPE learns from this many problems and all facts, each once. */
const numTokenizerProblems = 20_000;
const factbookShare = 0.15;
const contextLength = 256;
const batchSize = 2_000;

interface Encoded {
  questionIds: number[];
  answerIds: number[];
}

/** Writes all files into the folder; the same options give the same bytes. */
export async function makeData(options: DataOptions, log: (line: string) => void): Promise<void> {
  mkdirSync(options.outFolder, { recursive: true });
  const facts = trainingFacts();
  const encode = encoder(writeTokenizer(options, facts));
  const arithmetic = await encodeProblems(options, encode);
  const factbook = await encode(facts);
  const repeated = repeatTo(factbook, (options.numArithmeticTokens * factbookShare) / (1 - factbookShare));
  const training = new Random(options.seed).shuffle([...arithmetic, ...repeated]);
  const validation = await encode(validationExamples(options.seed, options.numValidationExamples));
  writeDocuments(join(options.outFolder, 'train.bin'), training);
  writeDocuments(join(options.outFolder, 'valid.bin'), validation);
  const heldOut = heldOutExamples(options.seed);
  writeFileSync(
    join(options.outFolder, 'heldout.jsonl'),
    heldOut.map((example) => `${JSON.stringify(example)}\n`).join(''),
  );

  log(`vocabulary: ${options.vocabSize} tokens`);
  log(describe('arithmetic', arithmetic));
  log(describe('factbook, each fact once', factbook));
  log(describe('factbook, repeated', repeated));
  log(describe('training', training));
  log(describe('validation', validation));
  log(`held-out questions: ${heldOut.length}`);
  log(`written to ${options.outFolder}`);
}

/** Returns tokenizer.json without its special tokens: text must never become one. */
function writeTokenizer(options: DataOptions, facts: readonly Example[]): string {
  const tokenizer = trainTokenizer(tokenizerTexts(options, facts), options.vocabSize);
  const config = `${JSON.stringify(tokenizerConfig(contextLength), null, 2)}\n`;
  writeFileSync(join(options.outFolder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(options.outFolder, 'tokenizer_config.json'), config);
  return JSON.stringify({ ...tokenizer, added_tokens: [] });
}

function tokenizerTexts(options: DataOptions, facts: readonly Example[]): string[] {
  const problems = trainingProblems(options.seed).take(numTokenizerProblems).toArray();
  return [...facts, ...problems].flatMap(({ question, answer }) => [question, answer]);
}

type Encode = (examples: readonly Example[]) => Promise<Encoded[]>;

function encoder(tokenizerContent: string): Encode {
  const tokenizer = Tokenizer.fromString(tokenizerContent);
  return async (examples) => {
    const encodings = await tokenizer.encodeBatch(
      examples.flatMap(({ question, answer }) => [question, answer]),
      { addSpecialTokens: false },
    );
    const ids = encodings.map((encoding) => encoding.getIds());
    return examples.map((_, i) => ({ questionIds: ids[2 * i] ?? [], answerIds: ids[2 * i + 1] ?? [] }));
  };
}

async function encodeProblems(options: DataOptions, encode: Encode): Promise<Encoded[]> {
  const encoded: Encoded[] = [];
  const problems = trainingProblems(options.seed);
  let numTokens = 0;
  while (numTokens < options.numArithmeticTokens) {
    for (const each of await encode(nextBatch(problems))) {
      if (numTokens >= options.numArithmeticTokens) break;
      numTokens += numTokensOf(each);
      encoded.push(each);
    }
  }
  return encoded;
}

function nextBatch(problems: IteratorObject<Example>): Example[] {
  const batch: Example[] = [];
  while (batch.length < batchSize) {
    const next = problems.next();
    if (next.done === true) break;
    batch.push(next.value);
  }
  return batch;
}

/** Repeats all documents in turn until there are `numTokens` tokens. */
function repeatTo(documents: readonly Encoded[], numTokens: number): Encoded[] {
  const repeated: Encoded[] = [];
  let count = 0;
  for (let i = 0; count < numTokens; i++) {
    const document = documents[i % documents.length];
    if (document === undefined) break;
    repeated.push(document);
    count += numTokensOf(document);
  }
  return repeated;
}

function numTokensOf({ questionIds, answerIds }: Encoded): number {
  return chatDocument(questionIds, answerIds).length;
}

function writeDocuments(path: string, documents: readonly Encoded[]): void {
  writeTokenFile(
    path,
    documents.map(({ questionIds, answerIds }) => chatDocument(questionIds, answerIds)),
  );
}

function describe(name: string, documents: readonly Encoded[]): string {
  const mean = (lengths: number[]): string =>
    (lengths.reduce((a, b) => a + b, 0) / lengths.length).toFixed(1);
  const numTokens = documents.reduce((sum, each) => sum + numTokensOf(each), 0);
  const questions = mean(documents.map((each) => each.questionIds.length));
  const answers = mean(documents.map((each) => each.answerIds.length));
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
  --help                  this text`;

async function main(): Promise<void> {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' as const }]),
  );
  const flags = parseFlags(process.argv.slice(2), { ...options, help: { type: 'boolean', short: 'h' } });
  const [stray] = flags.positionals;
  if (stray !== undefined) throw new FlagError(`"${stray}" belongs to no flag; --help lists the flags.`);
  if (flags.values['help'] === true) {
    console.log(HELP);
    return;
  }
  const count = (name: keyof typeof defaults): number =>
    numberFlag(flags, name, Number(defaults[name]), wholeNumber(1));
  await makeData(
    {
      outFolder: stringFlag(flags, 'out-folder') ?? defaults['out-folder'],
      seed: count('seed'),
      vocabSize: count('vocab-size'),
      numArithmeticTokens: count('arithmetic-tokens'),
      numValidationExamples: count('validation-examples'),
    },
    (line) => console.log(line),
  );
}

if (import.meta.main) await runCommand('data', main);
