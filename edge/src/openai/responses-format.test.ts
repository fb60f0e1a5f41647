import { TidarError } from '@tidar/shared/errors.ts';
import type { StartEvent, StepEvent } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnswerEvent, AnswerEvents } from './answer.ts';
import type { ResponseTerms } from './answer-terms.ts';
import { responseFormat } from './responses-format.ts';

interface Answer {
  reasoning: string;
  text: string;
  calls: string[];
}
/** One token of an answer, and what it brings. */
type Part = Pick<StepEvent, 'text' | 'reasoning' | 'tool_calls' | 'logprobs'>;
interface Told {
  type: string;
  sequence_number: number;
  output_index?: number;
  delta?: string;
  logprobs?: { token: string }[];
  code?: string;
  response?: { status: string; output: { type: string; id: string }[] };
}

const start: StartEvent = {
  type: 'start',
  request_id: 'req_1',
  prompt_token_ids: [1],
  num_prompt_tokens: 1,
  num_cached_tokens: 0,
  seed: '7',
  fingerprint: 'f',
  model: 'demo',
};
const terms: ResponseTerms = {
  route: 'responses',
  hasInstructions: false,
  format: null,
  metadata: {},
  user: null,
  safetyIdentifier: null,
  promptCacheKey: null,
  previousResponseId: null,
};
const head = { requestId: `req_${'a'.repeat(32)}`, created: 1, start, numChoices: 1, request: undefined };
const usage = { prompt_tokens: 1, completion_tokens: 1, cached_tokens: 0, num_forward_passes: 1 };
const format = responseFormat(terms);

function scored(token: string): Part {
  const bytes = [...new TextEncoder().encode(token)];
  return { text: token, logprobs: [{ token_id: 1, token, bytes, logprob: -1, top: [] }] };
}

function partsOf({ reasoning, text, calls }: Answer): Part[] {
  return [
    ...[...reasoning].map((piece) => ({ ...scored(piece), text: '', reasoning: piece })),
    ...[...text].map(scored),
    ...calls.flatMap((written, index) => [
      { text: '', tool_calls: [{ index, id: `call_${index}`, name: 'f', arguments: '' }] },
      ...[...written].map((piece) => ({
        ...scored(piece),
        text: '',
        tool_calls: [{ index, arguments: piece }],
      })),
    ]),
  ];
}

/** Several tokens in one step, as a backend joins them. */
function joined(parts: readonly Part[]): StepEvent {
  const reasoning = parts.map((part) => part.reasoning ?? '').join('');
  const calls = parts.flatMap((part) => part.tool_calls ?? []);
  const logprobs = parts.flatMap((part) => part.logprobs ?? []);
  return {
    type: 'step',
    choice: 0,
    token_ids: parts.map(() => 1),
    text: parts.map(({ text }) => text).join(''),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(logprobs.length === 0 ? {} : { logprobs }),
  };
}

/** Steps that are cut after so many tokens each, over and over. */
function stepsOf(answer: Answer, sizes: readonly number[]): StepEvent[] {
  const steps: StepEvent[] = [];
  let open: Part[] = [];
  for (const part of partsOf(answer)) {
    const isFull = open.length >= (sizes[steps.length % sizes.length] ?? 1);
    if (isFull) steps.push(joined(open));
    open = isFull ? [part] : [...open, part];
  }
  return open.length === 0 ? steps : [...steps, joined(open)];
}

async function* eventsOf(steps: readonly StepEvent[], reason: 'stop' | 'length'): AnswerEvents {
  const events: AnswerEvent['event'][] = [
    ...steps,
    { type: 'finish', choice: 0, finish_reason: reason },
    { type: 'end', usage },
  ];
  for (const event of events) yield await Promise.resolve({ event, id: '0' });
}

async function told(events: AnswerEvents, resumedAt?: string): Promise<Told[]> {
  const all: Told[] = [];
  const chunks = format.chunks(head, events, { includeUsage: false, resumedAt });
  for await (const chunk of chunks) all.push(JSON.parse(/^data: (.*)$/m.exec(chunk)![1]!) as Told);
  return all;
}

/** Each character with the number that it has. */
const charactersOf = (events: readonly Told[]): [number, string][] =>
  events.flatMap(({ delta = '', sequence_number: last }) =>
    delta.split('').map((character, index): [number, string] => [last - delta.length + 1 + index, character]),
  );
const others = (events: readonly Told[]): Told[] => events.filter(({ delta }) => delta === undefined);

const word = fc.string({ unit: fc.constantFrom('a', 'é', '€', '🌍', ' '), maxLength: 6 });
const answers = fc.record({ reasoning: word, text: word, calls: fc.array(word, { maxLength: 3 }) });
const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });

describe('the events of a response', () => {
  it('go on after any number as they went on the first time, wherever steps are cut', async () => {
    await fc.assert(
      fc.asyncProperty(answers, sizes, sizes, fc.nat(60), async (answer, one, other, place) => {
        const first = await told(eventsOf(stepsOf(answer, one), 'stop'));
        const last = first.at(-1)!.sequence_number;
        const after = place % (last + 1);
        const rest = await told(eventsOf(stepsOf(answer, other), 'stop'), String(after));
        const isNew = ({ sequence_number: number }: Told): boolean => number > after;
        expect(others(rest)).toEqual(others(first).filter(isNew));
        expect(charactersOf(rest)).toEqual(charactersOf(first).filter(([number]) => number > after));
      }),
      { numRuns: 150 },
    );
  });

  it('have rising numbers, an item for each part, and each token’s score with its text', async () => {
    await fc.assert(
      fc.asyncProperty(answers, sizes, async (answer, cuts) => {
        const events = await told(eventsOf(stepsOf(answer, cuts), 'length'));
        const numbers = events.map((event) => event.sequence_number);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        const { status, output } = events.at(-1)!.response!;
        expect(status).toBe('incomplete');
        const isEmpty = answer.reasoning + answer.text === '' && answer.calls.length === 0;
        expect(output.map(({ type }) => type)).toEqual([
          ...(answer.reasoning === '' ? [] : ['reasoning']),
          ...(answer.text === '' && !isEmpty ? [] : ['message']),
          ...answer.calls.map(() => 'function_call'),
        ]);
        expect(new Set(output.map(({ id }) => id)).size).toBe(output.length);
        for (const { type, delta, logprobs } of events) {
          if (type !== 'response.output_text.delta') continue;
          expect(logprobs!.map(({ token }) => token).join('')).toBe(delta);
        }
        const whole = await format.whole(head, eventsOf(stepsOf(answer, [1]), 'length'));
        expect(whole).toEqual(events.at(-1)!.response);
      }),
      { numRuns: 100 },
    );
  });

  it('end with what there is of it where it fails, and the failure goes on', async () => {
    const failure = new TidarError('backend_unavailable', 'It failed.');
    async function* broken(): AnswerEvents {
      yield { event: joined([scored('a'), scored('b')]), id: '2' };
      await Promise.resolve();
      throw failure;
    }
    const chunks: string[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of format.chunks(head, broken(), { includeUsage: false })) chunks.push(chunk);
    };
    await expect(read()).rejects.toBe(failure);
    expect(chunks.some((chunk) => format.isLast(chunk))).toBe(false);
    const last = chunks.at(-1)!;
    expect(JSON.parse(/^data: (.*)$/m.exec(last)![1]!)).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'server_error', message: 'It failed.' },
        output: [{ status: 'incomplete', content: [{ text: 'ab' }] }],
        tidar: { error: 'backend_unavailable' },
      },
    });
    const number = Number(/^id: (\d+)$/m.exec(last)![1]);
    expect(format.failure(failure, last)).toContain(`event: error\nid: ${number + 1}\n`);
  });
});
