import { setImmediate } from 'node:timers/promises';
import { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateEvent, StartEvent, StepEvent } from '@tidar/shared/protocol.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { usageOf } from './journal-answer.ts';
import type { Journal } from './journal/journal.ts';
import type { GenerationRecord, StepRecord } from './journal/records.ts';

/** Steps that are read at a time: others' events wait for no more. */
const BATCH = 256;

export interface ReplayOptions {
  readonly tokenizer: Tokenizer | undefined;
  readonly stop: readonly string[];
  /** Completion tokens of each choice that the reader has. */
  readonly from: readonly number[];
  /** Steps that the journal has by now; later ones come from the engine. */
  readonly numSteps: number;
}

export interface Replayed {
  readonly event: GenerateEvent;
  readonly counts: readonly number[];
}

/**
 * The events of a generation after the tokens that its reader has, from the journal. A step that the reader has a part
 * of is cut there. The text after n tokens follows from these tokens alone, so that it goes on exactly where the
 * reader's ended: held-back text comes with the tokens that make it certain.
 */
export async function* replay(
  journal: Journal,
  record: GenerationRecord,
  options: ReplayOptions,
): AsyncGenerator<Replayed, void, undefined> {
  const { from, numSteps } = options;
  const choices = record.finishReasons.map((_, choice) => new ReplayedChoice(options, from[choice] ?? 0));
  const counts = [...from];
  const finished = new Set<number>();
  if (record.numCachedTokens !== undefined) yield { event: startOf(record), counts: [...counts] };
  for (let seq = 0; seq < numSteps;) {
    const steps = journal.steps(record.id, { from: seq, end: numSteps, limit: BATCH });
    if (steps.length === 0) break;
    seq += steps.length;
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

  /** Once, where it is known: after its last step, or where what it was resumed with had ended, at the end. */
  function* finishOf(choice: number): Generator<Replayed, void, undefined> {
    const reason = record.finishReasons[choice] ?? null;
    if (reason === null || finished.has(choice)) return;
    finished.add(choice);
    const text = choices[choice]?.rest() ?? '';
    if (text !== '') yield { event: { type: 'step', choice, token_ids: [], text }, counts: [...counts] };
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
  readonly #filter: StopStringFilter | undefined;
  /** Tokens still to come that the reader has already. */
  #numToSkip: number;
  #hasText = false;

  constructor({ tokenizer, stop }: ReplayOptions, from: number) {
    this.#filter = tokenizer && new StopStringFilter(tokenizer.stream(), stop);
    this.#numToSkip = from;
  }

  /** The part of the step that the reader does not have. */
  take({ choice, tokenIds, isLast, logprobs }: StepRecord): StepEvent | undefined {
    const numSkipped = Math.min(this.#numToSkip, tokenIds.length);
    this.#numToSkip -= numSkipped;
    this.#filter?.push(tokenIds.slice(0, numSkipped));
    const rest = tokenIds.slice(numSkipped);
    if (rest.length === 0) return undefined;
    const text = this.#filter?.push(rest).text ?? '';
    this.#hasText = true;
    return {
      type: 'step',
      choice,
      token_ids: rest,
      text: text + (isLast ? this.rest() : ''),
      ...(logprobs === undefined ? {} : { logprobs: logprobs.slice(numSkipped) }),
    };
  }

  /** What is held back at the choice's end: told once, and only to whom its last token is. */
  rest(): string {
    if (!this.#hasText) return '';
    this.#hasText = false;
    return this.#filter?.flush().text ?? '';
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
