import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { MAX_DRAFT_LENGTH } from '@tidar/shared/protocol.ts';
import {
  assertNoStray,
  FlagError,
  listFlag,
  numberFlag,
  numbersFlag,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
} from '../cli/flags.ts';
import { DEMO_MODEL, openCommandModel } from '../cli/open-model.ts';
import { heldOutExamples } from '../data/splits.ts';
import { PLAN_NAMES } from '../decode/decoder.ts';
import type { Decoder, PlanName } from '../decode/decoder.ts';
import { deviceKey, openPlanner } from '../decode/planner-file.ts';
import type { OpenedPlanner } from '../decode/planner-file.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import type { ModelSession } from '../device/device.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import type { Answer, Summary } from './evaluate.ts';
import { ALL_KINDS, answerAll, summarize } from './evaluate.ts';
import type { HeldOutQuestion } from './held-out.ts';
import { limitPerKind, readHeldOut } from './held-out.ts';

const HELP = `npm run eval -- [options]      exact match and tokens per forward on held-out questions

  --model FOLDER          default gpu-backend/models/demo
  --held-out FILE         default: made anew, the same that npm run data writes
  --limit N               at most N questions of each kind, the first ones
  --kinds a,b             only these kinds
  --draft-lengths 4,8,16  of the dense layout, beside plain AR; empty for none
  --plans a,b             further plans, at the model's own block size; default auto, empty for none
  --max-tokens N          default 200
  --threads N             default 1
  --answers FILE          writes every answer, one JSON object a line
  --json                  prints one JSON object as the last line

Greedy, one question at a time; the decoders take turns at each question.`;

/** The questions that `npm run data` makes with its own default. */
const DATA_SEED = 1;

interface Flags {
  model: string;
  heldOut: string | undefined;
  limit: number;
  kinds: string[] | undefined;
  draftLengths: number[];
  plans: PlanName[];
  maxTokens: number;
  numThreads: number;
  answers: string | undefined;
  json: boolean;
  help: boolean;
}

const TEXT = { type: 'string' } as const;
const SWITCH = { type: 'boolean' } as const;

function readFlags(args: readonly string[]): Flags {
  const flags = parseFlags(args, {
    ...{ model: TEXT, 'held-out': TEXT, limit: TEXT, kinds: TEXT, 'draft-lengths': TEXT, plans: TEXT },
    ...{ 'max-tokens': TEXT, threads: TEXT, answers: TEXT, json: SWITCH, help: { ...SWITCH, short: 'h' } },
  });
  assertNoStray(flags);
  return {
    model: stringFlag(flags, 'model') ?? DEMO_MODEL,
    heldOut: stringFlag(flags, 'held-out'),
    limit: numberFlag(flags, 'limit', Infinity, wholeNumber(1)),
    kinds: listFlag(flags, 'kinds'),
    draftLengths: numbersFlag(flags, 'draft-lengths', [4, 8, 16], wholeNumber(1, MAX_DRAFT_LENGTH)),
    plans: listFlag(flags, 'plans')?.map(planName) ?? ['auto'],
    maxTokens: numberFlag(flags, 'max-tokens', 200, wholeNumber(1)),
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
    answers: stringFlag(flags, 'answers'),
    json: flags.values['json'] === true,
    help: flags.values['help'] === true,
  };
}

function planName(text: string): PlanName {
  const name = PLAN_NAMES.find((each) => each === text);
  if (name !== undefined) return name;
  throw new FlagError(`--plans must be of ${PLAN_NAMES.join(', ')}; got "${text}".`);
}

/** The dense layout at each draft length, then the other plans at the model's own. */
function chooseDecoders({ draftLengths, plans }: Flags, { tidar }: ModelConfig): Decoder[] {
  if (tidar === undefined) return [];
  const dense = draftLengths.map((draftLength) => ({ plan: 'dense' as const, draftLength }));
  const named = plans.map((plan) => ({ plan, draftLength: tidar.blockSize }));
  const layouts = [...dense, ...named.filter(({ plan }) => plan !== 'dense')];
  return layouts.map((layout) => ({ type: 'tidar', ...layout, beta: 1 }));
}

function chooseQuestions({ heldOut, limit, kinds }: Flags): HeldOutQuestion[] {
  if (heldOut !== undefined && !existsSync(heldOut))
    throw new FlagError(`--held-out: there is no file ${heldOut}.`);
  const all = heldOut === undefined ? heldOutExamples(DATA_SEED) : readHeldOut(heldOut);
  const known = [...new Set(all.map(({ kind }) => kind))];
  const unknown = kinds?.find((kind) => !known.some((each) => each === kind));
  if (unknown !== undefined)
    throw new FlagError(`--kinds: no questions of kind ${unknown}; found ${known.join(', ')}.`);
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
  const questions = chooseQuestions(flags);
  const { folder, session } = await openCommandModel(flags.model, flags.numThreads);
  try {
    const { tokenizer, name } = folder;
    if (tokenizer?.hasChatTemplate !== true)
      throw new TidarError('invalid_request', `The model ${name} has no tokenizer with a chat template.`);
    const decoders = chooseDecoders(flags, folder.config);
    const planner = await planFor(decoders, session, folder, flags);
    const engine = soloEngine(session, planner?.chooser);
    const { maxTokens } = flags;
    const onAnswers = reporter(questions.length, flags.answers);
    const answers = await answerAll({ engine, tokenizer, questions, decoders, maxTokens, onAnswers });
    engine.dispose();
    planner?.save();
    report(summarize(answers), folder, flags);
  } finally {
    await session.dispose();
  }
}

async function planFor(
  decoders: readonly Decoder[],
  session: ModelSession,
  folder: ModelFolder,
  { numThreads }: Flags,
): Promise<OpenedPlanner | undefined> {
  const auto = decoders.find((decoder) => decoder.type === 'tidar' && decoder.plan === 'auto');
  if (auto?.type !== 'tidar') return undefined;
  const key = deviceKey({ numThreads });
  return openPlanner(session, { folder, key, maxDraftLength: auto.draftLength, maxSequences: 1 });
}

function report(results: readonly Summary[], { path: folder, contentHash }: ModelFolder, flags: Flags): void {
  if (process.stderr.isTTY) process.stderr.write('\r');
  const kinds = new Set(results.map(({ kind }) => kind));
  const shown = kinds.size > 2 ? results : results.filter(({ kind }) => kind !== ALL_KINDS);
  for (const summary of shown) console.log(describe(summary));
  if (flags.json) console.log(JSON.stringify({ model: path.basename(folder), contentHash, results }));
}

await runCommand('eval', async () => {
  const flags = readFlags(process.argv.slice(2));
  if (flags.help) console.log(HELP);
  else await evaluate(flags);
});
