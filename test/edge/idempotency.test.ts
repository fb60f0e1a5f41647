import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EdgeProcess } from '../support/edge-process.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }] };

let backend: ScriptedBackend;
let edge: EdgeProcess;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  const vars = {
    BACKENDS: JSON.stringify([{ url: backend.url }]),
    START_TIMEOUT_MS: '4000',
    FAILOVER_MS: '3000',
  };
  edge = await EdgeProcess.start({ vars });
});
afterAll(async () => {
  await edge.stop();
  await backend.close();
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey());
  backend.seen.length = 0;
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], `text ${backend.seen.length}`);
    await stage.end(2);
  });
});

const post = (key: string, sent: object = body, caller = client): Promise<Response> =>
  fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${caller.key}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify(sent),
  });
const errorOf = async (response: Response): Promise<object> => {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, code: error.code };
};

describe('an Idempotency-Key', () => {
  it.each([
    ['whole', body],
    ['streamed', { ...body, stream: true, stream_options: { include_usage: true } }],
  ])(
    'gives the same %s answer to the same request again, at one bill and one generation',
    async (_, sent) => {
      const first = await post('a', sent);
      const text = await first.text();
      expect(text).toContain('text 1');
      for (let round = 0; round < 3; round += 1) {
        const again = await post('a', sent);
        expect(await again.text()).toBe(text);
        expect(again.headers.get('idempotent-replayed')).toBe('true');
        expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'));
      }
      expect(backend.seen).toHaveLength(1);
      expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 2 });
    },
  );

  it('is refused with another request, and is of its own API key alone', async () => {
    await (await post('a')).text();
    expect(await errorOf(await post('a', { ...body, seed: 1 }))).toEqual({
      status: 422,
      code: 'idempotency_mismatch',
    });
    const other = new RawClient(edge.url, await edge.createKey());
    expect((await post('a', { ...body, seed: 1 }, other)).status).toBe(200);
    expect(backend.seen).toHaveLength(2);
  });

  it('has all duplicates in flight wait for the one that runs, and get its answer', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await stage.step([4, 5], 'slow');
      await stage.end(2);
    });
    const answers = await Promise.all(Array.from({ length: 20 }, async () => (await post('a')).text()));
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain('slow');
    expect(backend.seen).toHaveLength(1);
    expect((await client.usage()).total.num_requests).toBe(1);
  });

  it('tells a duplicate to come back when the first takes too long', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    backend.play(async (stage) => {
      await stage.start();
      await gate;
      await stage.step([4, 5], 'late');
      await stage.end(2);
    });
    const first = post('a');
    await expect.poll(() => backend.seen.length).toBe(1);
    const refused = await post('a');
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(refused.headers.get('x-should-retry')).toBe('true');
    expect(await errorOf(refused)).toEqual({ status: 409, code: 'idempotency_in_flight' });
    open();
    expect(await (await post('a')).text()).toBe(await (await first).text());
  });

  it('is free again after a failure that cost nothing', async () => {
    backend.play((stage) => stage.refuse('overloaded', 'Busy.'));
    expect((await post('a')).status).toBe(503);
    backend.play(async (stage) => {
      await stage.start();
      await stage.end(0);
    });
    expect((await post('a')).status).toBe(200);
  });

  it('goes on with what broke off, to the same text and one bill, as long as that may still be had', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await new Promise((resolve) => setTimeout(resolve, 200));
      stage.die();
      backend.play((next) => next.refuse('overloaded', 'Busy.'));
    });
    expect((await post('a')).status).toBe(502);
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.step([6], 'c');
      await stage.end(3);
    });
    const again = (await (await post('a')).json()) as { choices: { message: { content: string } }[] };
    expect(again.choices[0]?.message.content).toBe('abc');
    expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 3 });
  });

  it('never leads to a second bill: what broke off and is billed is refused from then on', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await new Promise((resolve) => setTimeout(resolve, 200));
      await stage.fail('internal', 'It broke.');
    });
    expect((await post('a')).status).toBe(500);
    await client.lastRequest(({ state }) => state === 'settled');
    for (let round = 0; round < 2; round += 1) {
      expect(await errorOf(await post('a'))).toEqual({ status: 409, code: 'idempotency_broken' });
    }
    expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 2 });
  });

  it('costs a duplicate none of the limit, and is no way around a revoked or wrong key', async () => {
    const own = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 1 }));
    await (await post('a', body, own)).text();
    expect((await post('a', body, own)).status).toBe(200);
    expect((await post('b', body, own)).status).toBe(429);
    expect((await post('a', body, new RawClient(edge.url, `${own.key}x`))).status).toBe(401);
  });

  it.each(['', 'x'.repeat(256), 'tab\tinside'])('that is malformed is refused: %j', async (key) => {
    expect((await post(key)).status).toBe(400);
  });
});
