import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { GenerateEvent } from '@tidar/shared/protocol.ts';
import { parseGenerateEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BackendProcess,
  closingEvents,
  readEvents,
  TEST_SECRET,
  tokenIdsOf,
} from '../support/backend-process.ts';
import type { ModelCopy } from '../support/model-copy.ts';
import { copyModel } from '../support/model-copy.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
const MAIN = fileURLToPath(new URL('../../gpu-backend/src/server/main.ts', import.meta.url));
const { prompt, greedy } = JSON.parse(readFileSync(`${FIXTURE}/expected.json`, 'utf8')) as {
  prompt: number[];
  greedy: number[];
};
/** So many tokens take seconds: whatever a test does, it does it in the middle of the stream. */
const NUM_LONG_TOKENS = 8000;
const NO_GRACE = ['--client-grace-ms', '0'];

// The golden model with a long context and no end token.
let model: ModelCopy;
beforeAll(() => {
  model = copyModel(FIXTURE, { max_position_embeddings: 16384, eos_token_id: null });
});
afterAll(() => model.remove());

let backend: BackendProcess | undefined;
afterEach(async () => {
  await backend?.stop('SIGKILL');
});

async function start(...args: string[]): Promise<BackendProcess> {
  backend = await BackendProcess.start({ modelPath: model.path, args });
  return backend;
}

let numRequests = 0;
function requestBody(maxTokens: number): string {
  numRequests += 1;
  return JSON.stringify({
    request_id: `request-${numRequests}`,
    model: 'llama-tidar',
    input: { type: 'tokens', token_ids: prompt },
    max_tokens: maxTokens,
    sampling: { temperature: 0, seed: '7' },
    decoder: { type: 'ar' },
  });
}

/** Reads until the first step, then goes on by itself. */
async function openStream(
  running: BackendProcess,
  maxTokens: number,
  signal?: AbortSignal,
): Promise<{ rest: Promise<GenerateEvent[]> }> {
  const response = await running.post(requestBody(maxTokens), undefined, signal);
  expect(response.status).toBe(200);
  const messages = decodeSse(response.body!);
  const events: GenerateEvent[] = [];
  while (events.at(-1)?.type !== 'step') {
    const next = await messages.next();
    if (next.done === true) throw new Error('the stream ended before its first step');
    events.push(parseGenerateEvent(next.value));
  }
  const rest = (async () => {
    for await (const message of messages) events.push(parseGenerateEvent(message));
    return events;
  })();
  return { rest };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 200) throw new Error('it did not come true within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a client that leaves, where it has no grace', () => {
  it('frees its slot at once, for the request that waits', async () => {
    const running = await start('--max-concurrent', '1', ...NO_GRACE);
    const leaver = new AbortController();
    const left = await openStream(running, NUM_LONG_TOKENS, leaver.signal);
    const waiting = running.post(requestBody(greedy.length));
    await until(async () => (await running.metric('vllm:num_requests_waiting')) === 1);
    leaver.abort();
    await expect(left.rest).rejects.toThrow();
    expect(tokenIdsOf(await readEvents(await waiting))).toEqual(greedy);
    expect(await running.metric('vllm:num_requests_running')).toBe(0);
    expect(await running.metric('tidar_request_failure_total{code="cancelled"}')).toBe(1);
    expect(await running.metric('tidar_forward_passes_total')).toBeLessThan(NUM_LONG_TOKENS);
  });

  it('leaves the queue too', async () => {
    const running = await start('--max-concurrent', '1', ...NO_GRACE);
    const first = new AbortController();
    const second = new AbortController();
    const streams = [await openStream(running, NUM_LONG_TOKENS, first.signal)];
    const queued = await running.post(requestBody(1), undefined, second.signal);
    await until(async () => (await running.metric('vllm:num_requests_waiting')) === 1);
    second.abort();
    await expect(queued.text()).rejects.toThrow();
    await until(async () => (await running.metric('vllm:num_requests_waiting')) === 0);
    first.abort();
    await expect(streams[0]!.rest).rejects.toThrow();
  });
});

describe('a backend with all that it can take', () => {
  it('refuses one more as overloaded, which may be retried and was not started', async () => {
    const running = await start('--max-concurrent', '1', '--max-waiting', '1', ...NO_GRACE);
    const leaver = new AbortController();
    const active = await openStream(running, NUM_LONG_TOKENS, leaver.signal);
    const waiting = running.post(requestBody(greedy.length));
    await until(async () => (await running.metric('vllm:num_requests_waiting')) === 1);
    const body = requestBody(greedy.length);
    const lease = await running.lease(body);
    const refused = await running.post(body, lease);
    expect(refused.status).toBe(503);
    const { error } = (await refused.json()) as { error: ErrorObject };
    expect(error).toMatchObject({ code: 'overloaded', retryable: true });
    expect(error.retry_after_ms).toBeGreaterThan(0);
    const seconds = Math.max(1, Math.ceil(error.retry_after_ms! / 1000));
    expect(refused.headers.get('retry-after')).toBe(String(seconds));
    leaver.abort();
    await expect(active.rest).rejects.toThrow();
    expect(tokenIdsOf(await readEvents(await waiting))).toEqual(greedy);
    expect(tokenIdsOf(await readEvents(await running.post(body, lease)))).toEqual(greedy);
  });
});

describe('a lease that expires in mid-stream', () => {
  it('ends the stream with an event', async () => {
    const running = await start();
    const body = requestBody(NUM_LONG_TOKENS);
    const lease = await running.lease(body, { expires_at_ms: Date.now() + 1000 });
    const events = await readEvents(await running.post(body, lease));
    expect(closingEvents(events)).toEqual([events.at(-1)]);
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { code: 'lease_expired', retryable: true } });
  });
});

describe('SIGTERM', () => {
  it('lets open streams finish, takes no new ones, and ends the process with 0', async () => {
    const running = await start('--max-concurrent', '4');
    const streams = await Promise.all([1, 2, 3].map(() => openStream(running, 1000)));
    const stopped = running.stop('SIGTERM');
    await until(async () => {
      const health = (await (await fetch(`${running.url}/health`)).json()) as { status: string };
      return health.status === 'draining';
    });
    const refused = await running.post(requestBody(1));
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'shutting_down', retryable: true } });
    for (const { rest } of streams) {
      const events = await rest;
      expect(closingEvents(events)).toEqual([events.at(-1)]);
      expect(events.at(-1)).toMatchObject({ type: 'end', usage: { completion_tokens: 1000 } });
    }
    expect(await stopped).toBe(0);
  });

  it('ends with an event what is open at the drain limit, waiting or running', async () => {
    const running = await start('--max-concurrent', '2', '--drain-seconds', '0');
    const streams = await Promise.all([1, 2].map(() => openStream(running, NUM_LONG_TOKENS)));
    const waiting = running.post(requestBody(NUM_LONG_TOKENS)).then(readEvents);
    await until(async () => (await running.metric('vllm:num_requests_waiting')) === 1);
    const stopped = running.stop('SIGTERM');
    for (const rest of [...streams.map((stream) => stream.rest), waiting]) {
      const events = await rest;
      expect(closingEvents(events)).toEqual([events.at(-1)]);
      expect(events.at(-1)).toMatchObject({
        type: 'error',
        error: { code: 'shutting_down', retryable: true },
      });
    }
    expect(await stopped).toBe(0);
  });

  it('ends the process at once when it comes twice', async () => {
    const running = await start();
    const stream = await openStream(running, NUM_LONG_TOKENS);
    const stopped = running.stop('SIGTERM');
    await until(async () => running.output.includes('"draining"'));
    running.child.kill('SIGTERM');
    await expect(stream.rest).rejects.toThrow();
    expect(await stopped).toBe(null);
    expect(running.child.signalCode).toBe('SIGKILL');
  });
});

describe('a start-up that cannot go on ends with one sentence', () => {
  const env = { ...process.env, LEASE_SECRETS: TEST_SECRET };
  const run = (
    args: string[],
    changes: Record<string, string> = {},
  ): { status: number | null; stderr: string } => {
    const result = spawnSync(process.execPath, [MAIN, ...args], {
      env: { ...env, ...changes },
      encoding: 'utf8',
    });
    const lines = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    expect(lines).toHaveLength(1);
    return { status: result.status, stderr: lines.join() };
  };

  it.each<[string, string[], Record<string, string>, RegExp]>([
    [
      'a port',
      ['--model', 'x', '--port', '70000'],
      {},
      /^--port \(BACKEND_PORT\) is "70000": expected 0 to 65535\.$/,
    ],
    [
      'a port in the environment',
      ['--model', 'x'],
      { BACKEND_PORT: 'http' },
      /--port \(BACKEND_PORT\) is "http"/,
    ],
    ['no model', [], {}, /^--model \(MODEL\) is missing/],
    ['an unknown flag', ['--modle', 'x'], {}, /--modle/],
    [
      'a short secret',
      ['--model', 'x'],
      { LEASE_SECRETS: 'short' },
      /^LEASE_SECRETS: every secret needs at least 32/,
    ],
    ['no folder', ['--model', '/no/such/folder'], {}, /folder \/no\/such\/folder does not exist/],
  ])('%s', (_, args, changes, sentence) => {
    const { status, stderr } = run(args, changes);
    expect(stderr).toMatch(sentence);
    expect(status).toBe(1);
  });

  it('a taken port', async () => {
    const running = await start();
    const { status, stderr } = run(['--model', model.path, '--port', new URL(running.url).port]);
    expect(stderr).toMatch(/^Port \d+ on 127\.0\.0\.1 is taken; give another one by --port\.$/);
    expect(status).toBe(1);
  });

  it('a folder without weights', () => {
    const broken = copyModel(FIXTURE, {});
    rmSync(`${broken.path}/model.safetensors`);
    const { status, stderr } = run(['--model', broken.path, '--port', '0']);
    broken.remove();
    expect(stderr).toMatch(/model\.safetensors/);
    expect(status).toBe(1);
  });
});
