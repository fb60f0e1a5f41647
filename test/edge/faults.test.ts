import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EdgeProcess } from '../support/edge-process.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import {
  SCRIPTED_MODEL,
  type ScriptedBackend,
  type Stage,
  startScriptedBackend,
} from '../support/scripted-backend.ts';

/** Long enough for a loaded machine: what is not silent must not seem so. */
const GAP_TIMEOUT_MS = 4_000;
const settled = ({ state }: { state: string }): boolean => state === 'settled';

let backend: ScriptedBackend;
let edge: EdgeProcess;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  // Not the harness: its outgoing connections are Node's, which neither close nor hold back with the Worker's.
  const timeouts = {
    KEEP_ALIVE_MS: '500',
    FAILOVER_MS: '1500',
    LEAVE_GRACE_MS: '1000',
    START_TIMEOUT_MS: String(GAP_TIMEOUT_MS),
    GAP_TIMEOUT_MS: String(GAP_TIMEOUT_MS),
  };
  edge = await EdgeProcess.start({ vars: { BACKENDS: JSON.stringify([{ url: backend.url }]), ...timeouts } });
});
afterAll(async () => {
  await edge.stop();
  await backend.close();
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey());
});

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 32 };
const streaming = { ...body, stream: true };

describe('a backend that dies in mid-stream', () => {
  beforeEach(() => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5, 6], 'abc');
      await stage.step([7], 'd');
      await new Promise((resolve) => setTimeout(resolve, 200));
      stage.die();
      // From now on it takes nothing: nobody can go on with the text.
      backend.play((next) => next.refuse('overloaded', 'Busy.'));
    });
  });

  it('is told to a streaming client in the stream, which ends without [DONE]', async () => {
    const response = await client.post(streaming);
    expect(response.status).toBe(200);
    const { chunks, isDone } = await readChunks(response);
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable', type: 'server_error' } });
    expect(textOfChunks(chunks.slice(0, -1))).toBe('abcd');
  });

  it('is a 502 to a client that waits for the whole answer', async () => {
    const response = await client.post(body);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'backend_unavailable' } });
  });

  it('leaves a bill of exactly what its journal says', async () => {
    await readChunks(await client.post(streaming));
    expect(await client.lastRequest(settled)).toMatchObject({
      finish_reason: 'error',
      prompt_tokens: 3,
      cached_tokens: 1,
      completion_tokens: 4,
      estimated: false,
      rule_loss_tokens: 0,
    });
    expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 4 });
  });
});

describe('a backend that breaks the protocol', () => {
  it.each([
    ['an event that is no JSON', 'event: step\ndata: {"type":\n\n'],
    ['an event of an unknown type', 'data: {"type":"party"}\n\n'],
    ['a second start', undefined],
  ])('by %s is cut off, and its client is told', async (_, text) => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      await (text === undefined ? stage.start() : stage.raw(text));
    });
    const { chunks, isDone } = await readChunks(await client.post(streaming));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    await backend.seen.at(-1)?.closed;
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 1, finish_reason: 'error' });
  });

  it.each<[string, (stage: Stage) => Promise<void>]>([
    ['a step of a choice that was not asked for', (stage) => stage.step([5], 'b', { choice: 1 })],
    ['a finish of a choice that was not asked for', (stage) => stage.finish(1)],
    [
      'a step of a choice that is finished',
      async (stage) => {
        await stage.finish(0);
        await stage.step([5], 'b');
      },
    ],
    [
      'an end before the finish of its choice',
      (stage) =>
        stage.raw(
          'data: {"type":"end","usage":{"prompt_tokens":3,"completion_tokens":1,"cached_tokens":0,"num_forward_passes":1}}\n\n',
        ),
    ],
    ['fewer log-probabilities than tokens', (stage) => stage.step([5, 6], 'b', { logprobs: [] })],
  ])('by %s is cut off: nothing more of it is told or billed', async (_, breakIt) => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      await breakIt(stage);
    });
    const { chunks, isDone } = await readChunks(await client.post(streaming));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    expect(textOfChunks(chunks)).toBe('a');
    await backend.seen.at(-1)?.closed;
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 1, finish_reason: 'error' });
  });

  it('by miscounting its tokens is not believed: the bill is of the token ids that came', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.end(9);
    });
    const { chunks } = await readChunks(await client.post(streaming));
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 2 });
  });

  it('by a first event that is not start is a 502, also to a client that streams', async () => {
    backend.play(async (stage) => {
      await stage.step([4], 'a');
    });
    expect((await client.post(streaming)).status).toBe(502);
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 0, estimated: false });
  });
});

describe('a silent backend', () => {
  it('is given up before the first event, with a 502', async () => {
    backend.play(() => undefined);
    expect((await client.post(streaming)).status).toBe(502);
    await backend.seen.at(-1)?.closed;
  });

  it('is given up in mid-stream, with an error in the stream', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      backend.play((next) => next.refuse('overloaded', 'Busy.'));
    });
    const startedAtMs = performance.now();
    const { chunks } = await readChunks(await client.post(streaming));
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(GAP_TIMEOUT_MS);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    await backend.seen.at(-1)?.closed;
  });
});

describe('a client that leaves', () => {
  it('in mid-stream ends its connection, and pays for exactly what was generated until the grace was over', async () => {
    let numSteps = 0;
    backend.play(async (stage) => {
      await stage.start();
      const isClosed = stage.seen.closed.then(() => true);
      while (
        !(await Promise.race([isClosed, new Promise((resolve) => setTimeout(() => resolve(false), 50))]))
      ) {
        numSteps += 1;
        await stage.step([4, 5], 'ab');
      }
      // What it generates until its grace is over.
      for (let round = 0; round < 3; round += 1) await stage.step([4, 5], 'ab');
      await stage.fail('cancelled', 'The client left, and did not come back.');
    });
    const controller = new AbortController();
    const response = await client.post(streaming, controller.signal);
    const reader = response.body?.getReader();
    for (let round = 0; round < 4; round += 1) await reader?.read();
    controller.abort();
    await backend.seen.at(-1)?.closed;
    const bill = await client.lastRequest(settled);
    expect(bill).toMatchObject({ finish_reason: 'cancelled', estimated: false, prompt_tokens: 3 });
    expect(bill.completion_tokens).toBe(numSteps * 2 + 6);
    expect((await client.usage()).total.num_requests).toBe(1);
  });

  it('while its backend is thinking is not kept until the backend speaks again', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.seen.closed;
      await stage.fail('cancelled', 'The client left, and did not come back.');
    });
    const controller = new AbortController();
    const reader = (await client.post(streaming, controller.signal)).body?.getReader();
    for (let read = ''; !read.includes('"ab"');) {
      const chunk: { value?: Uint8Array } | undefined = await reader?.read();
      read += new TextDecoder().decode(chunk?.value);
    }
    const leftAtMs = performance.now();
    controller.abort();
    await backend.seen.at(-1)?.closed;
    expect(performance.now() - leftAtMs).toBeLessThan(GAP_TIMEOUT_MS / 2);
    expect(await client.lastRequest(settled)).toMatchObject({
      finish_reason: 'cancelled',
      completion_tokens: 2,
    });
  });

  it('while it waits for the whole answer leaves one bill of what was generated', async () => {
    backend.play(async (stage) => {
      await stage.start();
      for (let round = 0; round < 5; round += 1) {
        await stage.step([4, 5], 'ab');
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await stage.end(10);
    });
    const controller = new AbortController();
    const numSeen = backend.seen.length;
    const answer = client.post(body, controller.signal).catch(() => 'left');
    while (backend.seen.length === numSeen) await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort();
    expect(await answer).toBe('left');
    // wrangler dev does not pass it on that a client left before its answer began; then the text is made whole.
    const bill = await client.lastRequest(settled);
    expect(bill.completion_tokens).toBeLessThanOrEqual(10);
    expect((await client.usage()).total).toMatchObject({
      num_requests: 1,
      completion_tokens: bill.completion_tokens,
    });
  });

  it('that reads slowly holds its backend back instead of filling the edge', async () => {
    const text = 'x'.repeat(64 * 1024);
    const numOffered = 4_000;
    let numTaken = 0;
    backend.play(async (stage) => {
      await stage.start();
      // One token, whose text never ends: more tokens than were granted would end it.
      for (; numTaken < numOffered; numTaken += 1) await stage.step(numTaken === 0 ? [4] : [], text);
      await stage.end(1);
    });
    const controller = new AbortController();
    await client.post(streaming, controller.signal);
    // What is under way fills the sockets' buffers; then nothing more is taken while nobody reads.
    for (let numBefore = -1; numBefore !== numTaken;) {
      numBefore = numTaken;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    expect(numTaken).toBeLessThan(numOffered / 4);
    controller.abort();
    await backend.seen.at(-1)?.closed;
  });
});

describe('the lease', () => {
  it('is for exactly the body, the backend, the model and the tokens of its request', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.end(0);
    });
    await client.complete(body);
    const seen = backend.seen.at(-1);
    expect(seen?.lease).toMatchObject({
      request_id: seen?.request.request_id,
      request_hash: seen?.bodyHash,
      backend: backend.url,
      fingerprint: SCRIPTED_MODEL.fingerprint,
      choices: 1,
      first_tokens: [0],
      end_token: 32,
      resume_hash: null,
    });
    expect(seen?.lease.expires_at_ms).toBeGreaterThan(Date.now());
  });
});
