import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import type { Tokenizer } from '../../gpu-backend/src/model/tokenizer.ts';
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

const MESSAGES = [{ role: 'user', content: 'how many?' }];
const NUM_TOKENS = 40;

let model: TinyChatModel;
let tokenizer: Tokenizer;
let backend: BackendProcess;
beforeAll(async () => {
  model = await makeTinyChatModel();
  tokenizer = loadModelFolder(model.path).tokenizer!;
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
    request_id: `text-${numRequests}`,
    model: backend.model.id,
    input: { type: 'chat', messages: MESSAGES },
    max_tokens: NUM_TOKENS,
    sampling: { temperature: 1.5, seed: '3' },
    decoder: { type: 'tidar', draft_length: 4 },
    ...changes,
  });
}

const generate = async (changes: Record<string, unknown> = {}): ReturnType<typeof readEvents> =>
  readEvents(await backend.post(requestBody(changes)));

describe('text over SSE', () => {
  it('is what the tokens say, whichever way they come', async () => {
    const events = await generate();
    expect(textOf(events)).toBe(tokenizer.decode(tokenIdsOf(events)));
    expect(textOf(events).length).toBeGreaterThan(20);
    const plain = await generate({ decoder: { type: 'ar' } });
    expect([textOf(plain), tokenIdsOf(plain)]).toEqual([textOf(events), tokenIdsOf(events)]);
  });

  it('comes from the chat in the form of the template', async () => {
    const [start] = await generate({ max_tokens: 1 });
    expect(start).toMatchObject({ type: 'start', prompt_token_ids: tokenizer.encode('<|bos|>how many?') });
  });

  it('takes a prompt as text, as it is', async () => {
    const [start] = await generate({ max_tokens: 1, input: { type: 'text', text: '<|bos|>two' } });
    expect(start).toMatchObject({ prompt_token_ids: tokenizer.encode('<|bos|>two') });
  });

  it.each([1, 2, 3])(
    'ends before a stop string of %i characters; the token that completes it is the last',
    async (n) => {
      const whole = await generate();
      const text = textOf(whole);
      const stop = text.slice(12, 12 + n);
      const end = text.indexOf(stop) + n;
      for (const decoder of [{ type: 'ar' }, { type: 'tidar', draft_length: 4 }]) {
        const events = await generate({ stop: [stop], decoder });
        expect(textOf(events)).toBe(text.slice(0, end - n));
        expect(tokenIdsOf(events)).toEqual(tokenIdsOf(whole).slice(0, tokenIdsOf(events).length));
        expect(tokenizer.decode(tokenIdsOf(events))).toBe(text.slice(0, end));
        expect(closingEvents(events)).toHaveLength(1);
        expect(finishesOf(events)).toEqual([[0, 'stop']]);
        expect(events.at(-1)).toMatchObject({
          type: 'end',
          usage: { completion_tokens: tokenIdsOf(events).length },
        });
      }
    },
  );

  it('loses nothing that was held back for a stop string which never came', async () => {
    const text = textOf(await generate());
    const events = await generate({ stop: [`${text.slice(-3)}never`] });
    expect(textOf(events)).toBe(text);
    expect(finishesOf(events)).toEqual([[0, 'length']]);
  });

  it('goes on from tokens as if unbroken, held-back text included', async () => {
    const [start, ...rest] = await generate();
    const promptIds = start?.type === 'start' ? start.prompt_token_ids : [];
    const tokenIds = tokenIdsOf(rest);
    const stop = `${textOf(rest).slice(8, 11)}never`;
    const resume = { prompt_token_ids: promptIds, token_ids: [tokenIds.slice(0, 10)] };
    const resumed = await generate({ stop: [stop], resume });
    expect(tokenIdsOf(resumed)).toEqual(tokenIds.slice(10));
    const text = textOf(rest);
    // The first 10 characters were decoded before; the last two of them were held back for the stop string.
    expect(textOf(resumed)).toBe(text.slice(8));
  });
});
