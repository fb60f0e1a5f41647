import type { Decoder } from '../decode/decoder.ts';
import { generate } from '../decode/generate.ts';
import type { Engine } from '../engine/engine.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { HeldOutQuestion } from './held-out.ts';
import { isExactMatch } from './held-out.ts';

/** One question answered by one decoder, greedily and alone. */
export interface Answer {
  kind: string;
  decoder: string;
  question: string;
  expected: string;
  text: string;
  isExact: boolean;
  /** Whether the token ids are those of plain AR. */
  equalsAr: boolean;
  /** Cut by the limit on tokens, not ended by the model. */
  isCutShort: boolean;
  numTokens: number;
  numForwardPasses: number;
  milliseconds: number;
}

/** All answers of one decoder to questions of one kind ("all" for every kind). */
export interface Summary {
  decoder: string;
  kind: string;
  numQuestions: number;
  numExact: number;
  numEqualToAr: number;
  numCutShort: number;
  numTokens: number;
  numForwardPasses: number;
  /** (tokens - those that prefill gave) ÷ forward passes after prefill; plain AR is 1. */
  tokensPerForward: number;
  tokensPerSecond: number;
}

export interface EvaluationOptions {
  engine: Engine;
  tokenizer: Tokenizer;
  questions: readonly HeldOutQuestion[];
  /** Tried beside plain AR. */
  decoders: readonly Decoder[];
  maxTokens: number;
  /** Called after each question with all decoders' answers. */
  onAnswers?: (answers: readonly Answer[], numDone: number) => void;
}

export const ALL_KINDS = 'all';

/** How a decoder is called in the report. */
export function decoderName(decoder: Decoder): string {
  if (decoder.type !== 'tidar') return decoder.type;
  return `${decoder.plan === 'dense' ? 'tidar' : decoder.plan} k=${decoder.draftLength}`;
}

/**
 * Answers every question by every decoder. Decoders take turns at each question, in rotating order, so that
 * their times are measured on the same machine in the same mood.
 */
export async function answerAll(options: EvaluationOptions): Promise<Answer[]> {
  const { questions, onAnswers } = options;
  const decoders: Decoder[] = [{ type: 'ar' }, ...options.decoders];
  const all: Answer[] = [];
  for (const [index, question] of questions.entries()) {
    const turn = index % decoders.length;
    const inTurn = [...decoders.slice(turn), ...decoders.slice(0, turn)];
    const answers = compareWithAr(await answerByEach(options, question, inTurn));
    all.push(...answers);
    onAnswers?.(answers, index + 1);
  }
  return all;
}

type Generated = Omit<Answer, 'equalsAr'> & { tokenIds: number[] };

async function answerByEach(
  options: EvaluationOptions,
  question: HeldOutQuestion,
  decoders: readonly Decoder[],
): Promise<Generated[]> {
  const generated: Generated[] = [];
  for (const decoder of decoders) generated.push(await answer(options, question, decoder));
  return generated;
}

async function answer(
  { engine, tokenizer, maxTokens }: EvaluationOptions,
  question: HeldOutQuestion,
  decoder: Decoder,
): Promise<Generated> {
  const promptIds = tokenizer.encodeChat([{ role: 'user', content: question.question }]);
  const room = Math.max(1, Math.min(maxTokens, engine.config.maxPositions - promptIds.length));
  const options = { promptIds, maxTokens: room, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
  const tokenIds: number[] = [];
  const result = { isCutShort: false, numForwardPasses: 0, milliseconds: 0 };
  for await (const event of generate(engine, options)) {
    if (event.type === 'step') {
      tokenIds.push(...event.tokenIds);
      result.milliseconds += event.milliseconds;
    } else {
      result.numForwardPasses = event.numForwardPasses;
      result.isCutShort = event.finishReason === 'length';
    }
  }
  const text = tokenizer.decode(tokenIds);
  const { kind, expected } = question;
  const about = { kind, decoder: decoderName(decoder), question: question.question, expected, text };
  const isExact = isExactMatch(question, text);
  return { ...about, isExact, ...result, numTokens: tokenIds.length, tokenIds };
}

function compareWithAr(generated: readonly Generated[]): Answer[] {
  const ar = generated.find(({ decoder }) => decoder === 'ar');
  return generated.map(({ tokenIds, ...rest }) => ({
    ...rest,
    equalsAr: ar?.tokenIds.join() === tokenIds.join(),
  }));
}

/** One summary for each decoder and kind, and one for each decoder over all kinds. */
export function summarize(answers: readonly Answer[]): Summary[] {
  const decoders = [...new Set(answers.map(({ decoder }) => decoder))].toSorted(byDraftLength);
  const kinds = [...new Set(answers.map(({ kind }) => kind))];
  return [...kinds, ALL_KINDS].flatMap((kind) =>
    decoders.map((decoder) => {
      const own = answers.filter((each) => each.decoder === decoder && [each.kind, ALL_KINDS].includes(kind));
      return { decoder, kind, ...summarizeOne(own) };
    }),
  );
}

const draftLengthOf = (decoder: string): number => Number(/\d+$/.exec(decoder)?.[0] ?? 0);

function byDraftLength(a: string, b: string): number {
  return draftLengthOf(a) - draftLengthOf(b);
}

function summarizeOne(answers: readonly Answer[]): Omit<Summary, 'decoder' | 'kind'> {
  const count = (holds: (answer: Answer) => boolean): number => answers.filter(holds).length;
  const sum = (value: (answer: Answer) => number): number =>
    answers.reduce((total, a) => total + value(a), 0);
  const numTokens = sum((each) => each.numTokens);
  const numForwardPasses = sum((each) => each.numForwardPasses);
  return {
    numQuestions: answers.length,
    numExact: count((each) => each.isExact),
    numEqualToAr: count((each) => each.equalsAr),
    numCutShort: count((each) => each.isCutShort),
    numTokens,
    numForwardPasses,
    tokensPerForward: (numTokens - answers.length) / (numForwardPasses - answers.length),
    tokensPerSecond: (1000 * numTokens) / sum((each) => each.milliseconds),
  };
}
