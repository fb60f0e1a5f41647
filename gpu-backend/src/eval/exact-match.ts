import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TidarError } from '@tidar/shared/errors.ts';
import { heldOutExamples } from '../data/splits.ts';
import { openModel } from '../device/open.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { Answer, Summary } from './evaluate.ts';
import { ALL_KINDS, answerAll, summarize } from './evaluate.ts';
import type { HeldOutQuestion } from './held-out.ts';
import { limitPerKind, readHeldOut } from './held-out.ts';

const HELP = `npm run eval -- [options]      exact match and tokens per forward on held-out questions

  --model FOLDER          default gpu-backend/models/demo
  --held-out FILE         default: made anew, the same that npm run data writes
  --limit N               at most N questions of each kind, the first ones
  --kinds a,b             only these kinds
  --draft-lengths 4,8,16  beside plain AR; empty for AR alone
  --max-tokens N          default 200
  --threads N             default 1
  --answers FILE          writes every answer, one JSON object a line
  --json                  prints one JSON object as the last line

Greedy, one question at a time; the decoders take turns at each question.`;

/** The questions that `npm run data` makes with its own default. */
const DATA_SEED = 1;
const DEMO_FOLDER = fileURLToPath(new URL('../../models/demo', import.meta.url));

interface Flags {
  model: string;
  heldOut?: string;
  limit: number;
  kinds?: string[];
  draftLengths: number[];
  maxTokens: number;
  numThreads: number;
  answers?: string;
  json: boolean;
  help: boolean;
}

function readFlags(args: string[]): Flags {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ model: text, 'held-out': text, limit: text, kinds: text, 'draft-lengths': text },
      ...{ 'max-tokens': text, threads: text, answers: text, json: flag, help: { ...flag, short: 'h' } },
    },
  });
  return {
    model: values.model ?? DEMO_FOLDER,
    ...(values['held-out'] === undefined ? {} : { heldOut: values['held-out'] }),
    limit: values.limit === undefined ? Infinity : wholeNumber('limit', values.limit),
    ...(values.kinds === undefined ? {} : { kinds: splitList(values.kinds) }),
    draftLengths: splitList(values['draft-lengths'] ?? '4,8,16').map((n) => wholeNumber('draft-lengths', n)),
    maxTokens: wholeNumber('max-tokens', values['max-tokens'] ?? '200'),
    numThreads: wholeNumber('threads', values.threads ?? '1'),
    ...(values.answers === undefined ? {} : { answers: values.answers }),
    json: values.json,
    help: values.help,
  };
}

const splitList = (list: string): string[] => list.split(',').filter((item) => item !== '');

function wholeNumber(name: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new TidarError('invalid_request', `--${name} is ${value}; expected a whole number from 1 on.`);
}

function chooseQuestions({ heldOut, limit, kinds }: Flags): HeldOutQuestion[] {
  if (heldOut !== undefined && !existsSync(heldOut)) {
    throw new TidarError('invalid_request', `--held-out: there is no file ${heldOut}.`);
  }
  const all = heldOut === undefined ? heldOutExamples(DATA_SEED) : readHeldOut(heldOut);
  const known = [...new Set(all.map(({ kind }) => kind))];
  const unknown = kinds?.find((kind) => !known.some((each) => each === kind));
  if (unknown !== undefined) {
    throw new TidarError(
      'invalid_request',
      `--kinds: no questions of kind ${unknown}; found ${known.join(', ')}.`,
    );
  }
  return limitPerKind(
    all.filter(({ kind }) => kinds === undefined || kinds.includes(kind)),
    limit,
  );
}

function describe(summary: Summary): string {
  const percent = ((100 * summary.numExact) / summary.numQuestions).toFixed(1);
  const notes = [
    summary.numEqualToAr === summary.numQuestions ? '' : `${summary.numEqualToAr} equal to AR`,
    summary.numCutShort === 0 ? '' : `${summary.numCutShort} cut short`,
  ];
  return [
    summary.kind.padEnd(16),
    summary.decoder.padEnd(11),
    `${summary.numExact}/${summary.numQuestions}`.padStart(9),
    `${percent}%`.padStart(7),
    `${summary.tokensPerForward.toFixed(2)} tokens/forward`.padStart(21),
    `${Math.round(summary.tokensPerSecond)} tokens/s`.padStart(14),
    notes.filter((note) => note !== '').join(', '),
  ].join(' ');
}

/** Follows the work on a terminal, and keeps the answers if they are wanted. */
function reporter(
  numQuestions: number,
  answersPath?: string,
): (answers: readonly Answer[], n: number) => void {
  if (answersPath !== undefined) writeFileSync(answersPath, '');
  return (answers, numDone) => {
    if (answersPath !== undefined) {
      appendFileSync(answersPath, answers.map((each) => `${JSON.stringify(each)}\n`).join(''));
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${numDone}/${numQuestions}`);
  };
}

async function evaluate(flags: Flags): Promise<void> {
  const folder = loadModelFolder(flags.model);
  const { tokenizer } = folder;
  if (tokenizer?.hasChatTemplate !== true) {
    throw new TidarError(
      'invalid_request',
      `The model ${folder.name} has no tokenizer with a chat template.`,
    );
  }
  const questions = chooseQuestions(flags);
  const draftLengths = folder.config.tidar === undefined ? [] : flags.draftLengths;
  const session = await openModel(folder, { numThreads: flags.numThreads });
  try {
    const { maxTokens } = flags;
    const onAnswers = reporter(questions.length, flags.answers);
    const answers = await answerAll({ session, tokenizer, questions, draftLengths, maxTokens, onAnswers });
    if (process.stderr.isTTY) process.stderr.write('\r');
    const results = summarize(answers);
    const kinds = new Set(results.map(({ kind }) => kind));
    const shown = kinds.size > 2 ? results : results.filter(({ kind }) => kind !== ALL_KINDS);
    for (const summary of shown) console.log(describe(summary));
    const model = path.basename(folder.path);
    if (flags.json) console.log(JSON.stringify({ model, contentHash: folder.contentHash, results }));
  } finally {
    await session.dispose();
  }
}

async function main(): Promise<number> {
  try {
    const flags = readFlags(process.argv.slice(2));
    if (flags.help) console.log(HELP);
    else await evaluate(flags);
    return 0;
  } catch (error) {
    if (!(error instanceof TidarError) && !(error instanceof TypeError)) throw error;
    console.error(error.message);
    return 2;
  }
}

process.exitCode = await main();
