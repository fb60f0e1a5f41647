import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FinishReason, GenerateEvent } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampled } from '../engine/testing.ts';
import type { EngineEvent, EngineRequest } from './engine-messages.ts';
import { Journal } from './journal/journal.ts';
import type { Entry, GenerationRecord } from './journal/records.ts';
import { hashTokens } from './journal/token-blob.ts';
import { Progress, replay } from './replay.ts';
import type { Replayed } from './replay.ts';
import { Demo } from './testing/desk.ts';
import type { Answer } from './testing/desk.ts';

let demo: Demo;
let folder: string;
let journal: Journal;
beforeAll(async () => {
  demo = await Demo.open();
  folder = mkdtempSync(join(tmpdir(), 'tidar-replay-'));
  journal = new Journal({ path: join(folder, 'journal.sqlite'), retentionMs: 1e9 });
});
afterAll(async () => {
  journal.close();
  rmSync(folder, { recursive: true });
  await demo.session.dispose();
});

/** The entries of what the engine told, as a generation writes them. */
function entriesOf(events: readonly EngineEvent[], numChoices: number): Entry[] {
  const tokenIds = Array.from({ length: numChoices }, (): number[] => []);
  const finishReasons = Array.from({ length: numChoices }, (): FinishReason | null => null);
  let seq = 0;
  return events.map((event): Entry => {
    if (event.type === 'admitted') return { type: 'start', numCachedTokens: event.numCachedTokens };
    if (event.type === 'step') {
      tokenIds[event.choice]!.push(...event.tokenIds);
      const { choice, isLast } = event;
      return { type: 'step', seq: seq++, choice, tokenIds: event.tokenIds, isLast };
    }
    if (event.type === 'finish') {
      finishReasons[event.choice] = event.finishReason;
      return { type: 'finish', finishReasons: [...finishReasons] };
    }
    const tokenCounts = tokenIds.map(({ length }) => length);
    const total = { tokenCounts, tokensHash: hashTokens(tokenIds) };
    return { type: 'close', state: 'ended', numForwardPasses: event.numForwardPasses, ...total };
  });
}

let numRecords = 0;
/** Writes the first events of an answer to the journal. */
async function written(request: EngineRequest, events: readonly EngineEvent[]): Promise<GenerationRecord> {
  const requestId = `r${(numRecords += 1)}`;
  const place = journal.begin(
    {
      requestId,
      attempt: 0,
      model: 'demo',
      fingerprint: 'fp',
      seed: '1',
      isStored: true,
      request: '{}',
      promptIds: request.generate.promptIds,
      resumedIds: Array.from({ length: request.numChoices }, () => []),
    },
    (begun) => begun,
  );
  const entries = entriesOf(events, request.numChoices);
  const settled = entries.map(
    (entry) => new Promise<unknown>((resolve) => journal.write(place.id, entry, resolve)),
  );
  expect(await Promise.all(settled)).toEqual(entries.map(() => undefined));
  return journal.find(requestId, 0)!;
}

async function replayed(
  record: GenerationRecord,
  request: EngineRequest,
  from: readonly number[],
): Promise<Replayed[]> {
  const { tokenizer } = demo;
  const progress = new Progress(from);
  const options = { tokenizer, stop: request.stop, progress, numSteps: Number.MAX_SAFE_INTEGER };
  const all: Replayed[] = [];
  for await (const told of replay(journal, record, options)) {
    progress.add(told);
    all.push(told);
  }
  return all;
}

/** The same events as a running generation tells them. */
function liveEvents(events: readonly EngineEvent[], from: readonly number[]): Replayed[] {
  const counts = [...from];
  return events.map((event): Replayed => {
    if (event.type === 'step') counts[event.choice]! += event.tokenIds.length;
    return { event: toProtocol(event), counts: [...counts] };
  });
}

function toProtocol(event: EngineEvent): GenerateEvent {
  switch (event.type) {
    case 'step':
      return { type: 'step', choice: event.choice, token_ids: event.tokenIds, text: event.text };
    case 'finish':
      return { type: 'finish', choice: event.choice, finish_reason: event.finishReason };
    case 'admitted':
      return { type: 'start' } as GenerateEvent;
    case 'end':
      return { type: 'end' } as GenerateEvent;
  }
}

type Texts = { tokenIds: number[]; text: string }[];

function textsOf(told: readonly Replayed[], numChoices: number): Texts {
  const texts = Array.from({ length: numChoices }, () => ({ tokenIds: [] as number[], text: '' }));
  for (const { event } of told) {
    if (event.type !== 'step') continue;
    texts[event.choice]!.tokenIds.push(...event.token_ids);
    texts[event.choice]!.text += event.text;
  }
  return texts;
}

/** Hot enough for half characters, with stop strings that hold text back. */
const STOPS = [[], ['the ', 'ing'], ['a dog and', 'zzz'], ['e']];

interface Asked {
  readonly request: EngineRequest;
  readonly answer: Answer;
}
const pool: Asked[] = [];
beforeAll(async () => {
  for (let index = 0; index < 12; index++) {
    const sampling = sampled({ temperature: 1 + (index % 2), seed: BigInt(index) });
    const rest = { stop: STOPS[index % STOPS.length]!, numChoices: 1 + (index % 3) };
    const request = demo.request({ sampling, maxTokens: 30 }, rest);
    pool.push({ request, answer: await demo.answerTo(request) });
  }
});
const anyAsked = fc.nat(11).map((index) => () => pool[index]!);

describe('what a reader gets from the journal', () => {
  it('is, after any tokens of each choice, the rest of tokens and text to the last character', async () => {
    const cuts = fc.array(fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30)), { minLength: 8, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(anyAsked, cuts, async (asked, vectors) => {
        const { request, answer } = asked();
        const record = await written(request, answer.events);
        for (const vector of vectors) {
          const from = answer.choices.map(({ tokenIds }, choice) =>
            Math.min(vector[choice]!, tokenIds.length),
          );
          const told = await replayed(record, request, from);
          textsOf(told, request.numChoices).forEach(({ tokenIds, text }, choice) => {
            const whole = answer.choices[choice]!;
            expect(tokenIds).toEqual(whole.tokenIds.slice(from[choice]));
            expect(demo.textAfter(answer, request, choice, from[choice]!) + text).toBe(whole.text);
          });
          const counts = answer.choices.map(({ tokenIds }) => tokenIds.length);
          expect(told.at(-1)).toMatchObject({ event: { type: 'end' }, counts });
        }
      }),
      { seed: 4, numRuns: 30 },
    );
  });

  it('is the same where he goes back and forth between the journal and what comes live', async () => {
    await fc.assert(
      fc.asyncProperty(anyAsked, fc.array(fc.nat(6), { maxLength: 12 }), async (asked, lengths) => {
        const { request, answer } = asked();
        const progress = new Progress(answer.choices.map(() => 0));
        const all: Replayed[] = [];
        const take = (told: Replayed): void => {
          progress.add(told);
          all.push(told);
        };
        let numEvents = 0;
        for (const [at, length] of [...lengths, Infinity].entries()) {
          if (progress.isClosed) break;
          const isLive = at % 2 === 0;
          const events = answer.events.slice(numEvents, numEvents + length);
          numEvents += events.length;
          if (isLive) {
            for (const told of liveEvents(events, progress.counts)) take(told);
            continue;
          }
          const record = await written(request, answer.events.slice(0, numEvents));
          const numSteps = Number.MAX_SAFE_INTEGER;
          const options = { tokenizer: demo.tokenizer, stop: request.stop, progress, numSteps };
          for await (const told of replay(journal, record, options)) take(told);
        }
        expect(textsOf(all, request.numChoices)).toEqual(
          answer.choices.map(({ tokenIds, text }) => ({ tokenIds, text })),
        );
        expect(
          all
            .map(({ event }) => event.type)
            .filter((type) => type !== 'step')
            .toSorted(),
        ).toEqual(['start', ...answer.choices.map(() => 'finish'), 'end'].toSorted());
      }),
      { seed: 8, numRuns: 40 },
    );
  });

  it('goes on live where the journal ends, at whatever event the reader came, with the same text', async () => {
    await fc.assert(
      fc.asyncProperty(anyAsked, fc.nat(), async (asked, at) => {
        const { request, answer } = asked();
        const numEvents = at % answer.events.length;
        const record = await written(request, answer.events.slice(0, numEvents));
        const from = answer.choices.map(() => 0);
        const texts = textsOf(await replayed(record, request, from), request.numChoices);
        for (const event of answer.events.slice(numEvents)) {
          if (event.type !== 'step') continue;
          texts[event.choice]!.tokenIds.push(...event.tokenIds);
          texts[event.choice]!.text += event.text;
        }
        expect(texts).toEqual(answer.choices.map(({ tokenIds, text }) => ({ tokenIds, text })));
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});
