import { setImmediate } from 'node:timers/promises';
import { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateEvent, StartEvent, StepEvent } from '@tidar/shared/protocol.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { AnswerForm } from './answer-form.ts';
import type { AnswerPiece } from './answer-reader.ts';
import { AnswerReader, isEmptyPiece, joined } from './answer-reader.ts';
import { usageOf } from './journal-answer.ts';
import type { Journal } from './journal/journal.ts';
import type { GenerationRecord, StepRecord } from './journal/records.ts';

/** Steps that are read at a time: others' events wait for no more. */
const BATCH = 256;
const NOTHING: AnswerPiece = { text: '' };

export interface ReplayOptions {
  readonly tokenizer: Tokenizer | undefined;
  readonly stop: readonly string[];
  readonly form?: AnswerForm | undefined;
  /** What the reader has. */
  readonly progress: Progress;
  /** Steps that the journal has by now; later ones come from the engine. */
  readonly numSteps: number;
}

export interface Replayed {
  readonly event: GenerateEvent;
  /** Completion tokens of each choice after it. */
  readonly counts: readonly number[];
}

/** How far one reader has come. */
export class Progress {
  /** Completion tokens of each choice. */
  counts: readonly number[];
  isStarted = false;
  isClosed = false;
  readonly finished = new Set<number>();
  /** What was read of the journal for him, the next time to go on from there. */
  numSteps = 0;
  choices: ReplayedChoice[] | undefined;

  constructor(from: readonly number[]) {
    this.counts = from;
  }

  add({ event, counts }: Replayed): void {
    this.counts = counts;
    if (event.type === 'start') this.isStarted = true;
    else if (event.type === 'finish') this.finished.add(event.choice);
    else if (event.type !== 'step') this.isClosed = true;
  }
}

/**
 * The events of a generation that its reader does not have, from the journal. A step that the reader has a part
 * of is cut there. The text after n tokens follows from these tokens alone, so that it goes on exactly where the
 * reader's ended: held-back text comes with the tokens that make it certain.
 */
export async function* replay(
  journal: Journal,
  record: GenerationRecord,
  options: ReplayOptions,
): AsyncGenerator<Replayed, void, undefined> {
  const { progress, numSteps } = options;
  const counts = [...progress.counts];
  const choices = (progress.choices ??= record.finishReasons.map(
    (_, choice) => new ReplayedChoice(options, choice),
  ));
  choices.forEach((one, choice) => one.skipTo(counts[choice] ?? 0));
  if (record.numCachedTokens !== undefined && !progress.isStarted)
    yield { event: startOf(record), counts: [...counts] };
  while (progress.numSteps < numSteps) {
    const range = { from: progress.numSteps, end: numSteps, limit: BATCH };
    const steps = journal.steps(record.id, range);
    if (steps.length === 0) break;
    progress.numSteps += steps.length;
    for (const step of steps) {
      const event = choices[step.choice]?.take(step);
      if (event !== undefined) {
        counts[step.choice] = (counts[step.choice] ?? 0) + event.token_ids.length;
        yield { event, counts: [...counts] };
      }
      if (step.isLast) yield* finishOf(step.choice);
    }
    await setImmediate();
  }
  for (const choice of choices.keys()) yield* finishOf(choice);
  const closing = closingOf(record);
  if (closing !== undefined) yield { event: closing, counts };

  /** Where it is known and was not told: after its last step, or where what it was resumed with had ended, at the end. */
  function* finishOf(choice: number): Generator<Replayed, void, undefined> {
    const reason = record.finishReasons[choice] ?? null;
    if (reason === null || progress.finished.has(choice)) return;
    const rest = choices[choice]?.rest() ?? NOTHING;
    if (!isEmptyPiece(rest))
      yield { event: { type: 'step', choice, token_ids: [], ...rest }, counts: [...counts] };
    yield { event: { type: 'finish', choice, finish_reason: reason }, counts: [...counts] };
  }
}

/** Throws where the reader says that it has tokens that are not there. */
export function assertFrom(from: readonly number[], counts: readonly number[]): void {
  const isThere = from.length === counts.length && from.every((n, choice) => n <= (counts[choice] ?? 0));
  if (isThere) return;
  throw new TidarError(
    'invalid_request',
    `The reader has ${from.join(', ')} tokens; ${counts.join(', ')} are there.`,
    { param: 'from' },
  );
}

class ReplayedChoice {
  readonly #reader: AnswerReader | undefined;
  #numTokens = 0;
  /** Tokens still to come that the reader has already. */
  #numToSkip = 0;
  #hasRest = false;

  constructor({ tokenizer, stop, form }: ReplayOptions, choice: number) {
    this.#reader = tokenizer && new AnswerReader({ tokenizer, stop, form, choice });
  }

  skipTo(numTokens: number): void {
    this.#numToSkip = numTokens - this.#numTokens;
  }

  /** The part of the step that the reader does not have. */
  take({ choice, tokenIds, isLast, logprobs }: StepRecord): StepEvent | undefined {
    const numSkipped = Math.min(this.#numToSkip, tokenIds.length);
    this.#numTokens += tokenIds.length;
    this.#numToSkip -= numSkipped;
    this.#reader?.push(tokenIds.slice(0, numSkipped));
    const rest = tokenIds.slice(numSkipped);
    this.#hasRest = rest.length > 0;
    if (rest.length === 0) return undefined;
    const piece = this.#reader?.push(rest) ?? NOTHING;
    return {
      type: 'step',
      choice,
      token_ids: rest,
      ...joined(piece, isLast ? this.rest() : NOTHING),
      ...(logprobs === undefined ? {} : { logprobs: logprobs.slice(numSkipped) }),
    };
  }

  /** What is held back at the choice's end: told once, and only to whom its last step is. */
  rest(): AnswerPiece {
    if (!this.#hasRest) return NOTHING;
    this.#hasRest = false;
    return joined(this.#reader?.flush() ?? NOTHING, NOTHING);
  }
}

function startOf(record: GenerationRecord): StartEvent {
  const { promptLogprobs } = record;
  return {
    type: 'start',
    request_id: record.requestId,
    prompt_token_ids: [...(record.promptIds ?? [])],
    num_prompt_tokens: record.numPromptTokens,
    num_cached_tokens: record.numCachedTokens ?? 0,
    ...(promptLogprobs === undefined ? {} : { prompt_logprobs: [...promptLogprobs] }),
    seed: record.seed,
    fingerprint: record.fingerprint,
    model: record.model,
  };
}

function closingOf(record: GenerationRecord): GenerateEvent | undefined {
  if (record.error !== undefined) return { type: 'error', error: record.error };
  if (record.state === 'running') return undefined;
  return { type: 'end', usage: usageOf(record, record.tokenCounts ?? []) };
}
