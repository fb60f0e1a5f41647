import type { GenerateEvent } from '@tidar/shared/protocol.ts';
import { parseEventId, parseGenerateEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BackendProcess,
  closingEvents,
  finishesOf,
  readEvents,
  textOf,
  tokenIdsOf,
} from '../support/backend-process.ts';
import type { TinyChatModel } from '../support/tiny-chat-model.ts';
import { makeTinyChatModel } from '../support/tiny-chat-model.ts';

const NUM_CHOICES = 3;
const CHOICES = [0, 1, 2];

let model: TinyChatModel;
let backend: BackendProcess;
beforeAll(async () => {
  model = await makeTinyChatModel();
  backend = await BackendProcess.start({ modelPath: model.path });
}, 90_000);
afterAll(async () => {
  await backend.stop();
  await model.remove();
});

let numRequests = 0;
function requestBody(changes: Record<string, unknown> = {}): string {
  numRequests += 1;
  return JSON.stringify({
    request_id: `choices-${numRequests}`,
    model: backend.model.id,
    input: { type: 'chat', messages: [{ role: 'user', content: 'how many?' }] },
    num_choices: NUM_CHOICES,
    max_tokens: 30,
    sampling: { temperature: 1.5, seed: '3' },
    decoder: { type: 'tidar', draft_length: 4 },
    ...changes,
  });
}

const generate = async (changes: Record<string, unknown> = {}): Promise<GenerateEvent[]> =>
  readEvents(await backend.post(requestBody(changes)));

describe('three choices of one request', () => {
  it('are texts of their own, of which the first is that of a request for one', async () => {
    const all = await generate();
    const one = await generate({ num_choices: 1 });
    expect(tokenIdsOf(all)).toEqual(tokenIdsOf(one));
    expect(textOf(all)).toBe(textOf(one));
    expect(new Set(CHOICES.map((choice) => textOf(all, choice))).size).toBe(NUM_CHOICES);
  });

  it('are those of plain decoding, each', async () => {
    const [plain, drafted] = [await generate({ decoder: { type: 'ar' } }), await generate()];
    for (const choice of CHOICES) expect(tokenIdsOf(drafted, choice)).toEqual(tokenIdsOf(plain, choice));
  });

  it('start once, finish each once, and are closed by one end with the tokens of all', async () => {
    const events = await generate();
    expect(events.filter(({ type }) => type === 'start')).toHaveLength(1);
    expect(
      finishesOf(events)
        .map(([choice]) => choice)
        .toSorted((a, b) => a - b),
    ).toEqual(CHOICES);
    expect(closingEvents(events)).toEqual([events.at(-1)]);
    const numTokens = CHOICES.reduce((sum, choice) => sum + tokenIdsOf(events, choice).length, 0);
    expect(events.at(-1)).toMatchObject({ type: 'end', usage: { completion_tokens: numTokens } });
  });

  it('go on from any event by its id as if unbroken', async () => {
    const response = await backend.post(requestBody());
    const messages = [];
    for await (const message of decodeSse(response.body!)) messages.push(message);
    const events = messages.map(parseGenerateEvent);
    const start = events[0]?.type === 'start' ? events[0] : undefined;
    const whole = CHOICES.map((choice) => tokenIdsOf(events, choice));
    for (const at of [1, 4, Math.floor(messages.length / 2)]) {
      const counts = parseEventId(messages[at]?.id ?? '', NUM_CHOICES)!;
      const token_ids = whole.map((tokenIds, choice) => tokenIds.slice(0, counts[choice]));
      const resumed = await generate({ resume: { prompt_token_ids: start?.prompt_token_ids, token_ids } });
      for (const choice of CHOICES) {
        expect(tokenIdsOf(resumed, choice)).toEqual(whole[choice]!.slice(counts[choice]));
      }
      expect(Object.fromEntries(finishesOf(resumed))).toEqual(Object.fromEntries(finishesOf(events)));
      expect(resumed.at(-1)).toMatchObject({
        type: 'end',
        usage: { completion_tokens: whole.flat().length },
      });
    }
  });

  it('that had ended before they are resumed end again, without another token', async () => {
    const text = textOf(await generate(), 1);
    const stop = text.slice(4, 7);
    const events = await generate({ stop: [stop] });
    const start = events[0]?.type === 'start' ? events[0] : undefined;
    const token_ids = CHOICES.map((choice) => {
      const tokenIds = tokenIdsOf(events, choice);
      return choice === 1 ? tokenIds : tokenIds.slice(0, 2);
    });
    const resumed = await generate({
      stop: [stop],
      resume: { prompt_token_ids: start?.prompt_token_ids, token_ids },
    });
    expect(finishesOf(events)).toContainEqual([1, 'stop']);
    expect(finishesOf(resumed)).toContainEqual([1, 'stop']);
    expect(tokenIdsOf(resumed, 1)).toEqual([]);
    expect(textOf(resumed, 1)).toBe('');
  });

  it('all reach the end of their lease, and only those that ended before it are finished', async () => {
    const body = requestBody();
    const events = await readEvents(await backend.post(body, await backend.lease(body, { end_token: 5 })));
    for (const choice of CHOICES) expect(tokenIdsOf(events, choice).length).toBeLessThanOrEqual(5);
    expect(tokenIdsOf(events)).toHaveLength(5);
    expect(finishesOf(events).every(([, reason]) => reason === 'stop')).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { code: 'lease_expired' } });
  });

  it('are refused where the lease is for fewer', async () => {
    const body = requestBody();
    const response = await backend.post(body, await backend.lease(body, { choices: 1, first_tokens: [0] }));
    expect(response.status).toBe(401);
  });
});
