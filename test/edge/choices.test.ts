import type { TokenLogprob } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { type Chunk, RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

let backend: ScriptedBackend;
let edge: EdgeHarness;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  const vars = {
    BACKENDS: JSON.stringify([{ url: backend.url }]),
    FAILOVER_MS: '1000',
    LEAVE_GRACE_MS: '500',
  };
  edge = await startEdgeHarness(vars);
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey());
});

const messages = [{ role: 'user', content: 'Hi' }];
const body = { model: SCRIPTED_MODEL.id, messages, n: 3 };
const streaming = { ...body, stream: true, stream_options: { include_usage: true } };

const logprobOf = (text: string): TokenLogprob => {
  const score = {
    token_id: text.charCodeAt(0),
    token: text,
    bytes: [...new TextEncoder().encode(text)],
    logprob: -0.5,
  };
  return { ...score, top: [score, { token_id: 2, token: '<|end|>', bytes: null, logprob: -3 }] };
};
const shown = (text: string): object => {
  const score = { token: text, bytes: [...new TextEncoder().encode(text)], logprob: -0.5 };
  return { ...score, top_logprobs: [score, { token: '<|end|>', bytes: null, logprob: -3 }] };
};

describe('an answer of three choices', () => {
  beforeEach(() => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab', { choice: 2 });
      await stage.step([6], 'x', { choice: 0 });
      await stage.finish(2, 'length');
      await stage.step([7, 8, 9], 'uvw', { choice: 1 });
      await stage.finish(1);
      await stage.step([7], 'y', { choice: 0 });
      await stage.end(7);
    });
  });

  it('is streamed as it comes, each chunk with the index of its choice, usage once and last', async () => {
    const { chunks, isDone } = await readChunks(await client.post(streaming));
    expect(isDone).toBe(true);
    const seen = (chunk: Chunk): unknown =>
      chunk.choices.map(({ index, delta, finish_reason: reason }) => [
        index,
        delta.role ?? delta.content ?? reason,
      ]);
    expect(chunks.map(seen)).toEqual([
      [[0, 'assistant']],
      [[1, 'assistant']],
      [[2, 'assistant']],
      [[2, 'ab']],
      [[0, 'x']],
      [[2, 'length']],
      [[1, 'uvw']],
      [[1, 'stop']],
      [[0, 'y']],
      [[0, 'stop']],
      [],
    ]);
    expect([0, 1, 2].map((choice) => textOfChunks(chunks, choice))).toEqual(['xy', 'uvw', 'ab']);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(chunks.at(-1)?.usage).toEqual({
      prompt_tokens: 3,
      completion_tokens: 7,
      total_tokens: 10,
      prompt_tokens_details: { cached_tokens: 1 },
    });
    expect(chunks.filter(({ tidar }) => tidar?.seed !== undefined)).toHaveLength(1);
    expect(chunks.at(-2)?.tidar).toEqual({ num_forward_passes: 2 });
  });

  it('is given whole in the order of their indexes', async () => {
    const answer = await client.complete(body);
    expect(answer.choices).toEqual(
      (
        [
          ['xy', 'stop'],
          ['uvw', 'stop'],
          ['ab', 'length'],
        ] as const
      ).map(([content, finish_reason], index) => ({
        index,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason,
      })),
    );
    expect(answer.usage).toMatchObject({ completion_tokens: 7, prompt_tokens_details: { cached_tokens: 1 } });
  });

  it('is one bill of all their tokens, cut by length if any of them was', async () => {
    await client.complete(body);
    expect(await client.lastRequest(({ state }) => state === 'settled')).toMatchObject({
      prompt_tokens: 3,
      cached_tokens: 1,
      completion_tokens: 7,
      num_forward_passes: 2,
      finish_reason: 'length',
      estimated: false,
    });
    expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 7 });
  });

  it('is held for all of them until the bill, and leased by their count', async () => {
    let heldTokens = 0;
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      // The edge corrects its hold when it has read the start.
      for (let tries = 0; tries < 100 && heldTokens !== 33; tries += 1)
        heldTokens = (await client.usage()).held_tokens;
      await stage.end(1);
    });
    await client.complete({ ...body, max_tokens: 10 });
    expect(heldTokens).toBe(3 + 3 * 10);
    expect((await client.usage()).held_tokens).toBe(0);
    expect(backend.seen.at(-1)?.lease).toMatchObject({ choices: 3, first_tokens: [0, 0, 0], end_token: 10 });
  });

  it('of which one is open when its backend dies is billed by what was generated of all', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab', { choice: 2 });
      await stage.finish(2);
      await stage.step([6], 'x', { choice: 0 });
      await new Promise((resolve) => setTimeout(resolve, 200));
      stage.die();
      backend.play((next) => next.refuse('overloaded', 'Busy.'));
    });
    const { chunks, isDone } = await readChunks(await client.post(streaming));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    const bill = await client.lastRequest(({ state }) => state === 'settled');
    expect(bill).toMatchObject({ completion_tokens: 3, finish_reason: 'error', estimated: false });
  });
});

describe('log-probabilities', () => {
  const asked = { model: SCRIPTED_MODEL.id, messages, logprobs: true, top_logprobs: 2 };
  beforeEach(() => {
    backend.play(async (stage) => {
      await stage.start({ prompt_logprobs: [null, logprobOf('H')] });
      // The text lags behind its tokens: the first step completes no character that is certain.
      await stage.step([97], '', { logprobs: [logprobOf('a')] });
      await stage.step([98, 99], 'abc', { logprobs: [logprobOf('b'), logprobOf('€')] });
      await stage.end(3);
    });
  });

  it("have OpenAI's form, whole and streamed, one for each token", async () => {
    const content = [shown('a'), shown('b'), shown('€')];
    const whole = await client.complete(asked);
    expect(whole.choices[0]?.logprobs).toEqual({ content, refusal: null });
    const { chunks } = await readChunks(await client.post({ ...asked, stream: true }));
    const parts = chunks.flatMap(({ choices }) => choices.map(({ logprobs }) => logprobs));
    expect(parts).toEqual([
      null,
      { content: content.slice(0, 1), refusal: null },
      { content: content.slice(1), refusal: null },
      null,
    ]);
  });

  it('of the prompt come with the answer, or first of all in a stream', async () => {
    const wanted = [null, shown('H')];
    const more = { ...asked, tidar: { prompt_logprobs: 2 } };
    expect((await client.complete(more)).tidar.prompt_logprobs).toEqual(wanted);
    const { chunks } = await readChunks(await client.post({ ...more, stream: true }));
    expect(chunks[0]?.tidar?.prompt_logprobs).toEqual(wanted);
    expect(backend.seen.at(-1)?.request).toMatchObject({ logprobs: 2, prompt_logprobs: 2 });
  });
});

describe('a tenant', () => {
  it('is the same for every request of a key, another for another key, and tells neither', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.end(0);
    });
    const other = new RawClient(edge.url, await edge.createKey());
    for (const one of [client, client, other]) await one.complete({ model: SCRIPTED_MODEL.id, messages });
    const [first, second, third] = backend.seen.slice(-3).map(({ lease }) => lease.tenant);
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(client.key).not.toContain(first);
  });
});
