import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import type { JournalAnswer } from '@tidar/shared/journal.ts';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import type { GenerateEvent, GenerateRequestInput } from '@tidar/shared/protocol.ts';
import { parseGenerateEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BackendProcess,
  closingEvents,
  finishesOf,
  readEvents,
  TEST_SECRET,
  tokenIdsOf,
} from '../support/backend-process.ts';
import type { ModelCopy } from '../support/model-copy.ts';
import { copyModel } from '../support/model-copy.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
const MAIN = fileURLToPath(new URL('../../gpu-backend/src/server/main.ts', import.meta.url));
const { prompt } = JSON.parse(readFileSync(`${FIXTURE}/expected.json`, 'utf8')) as { prompt: number[] };
/** So many tokens take seconds: whatever a test does, it does it in the middle. */
const NUM_LONG = 1500;
const NUM_SHORT = 60;

// The golden model with a long context and no end token.
let model: ModelCopy;
let folder: string;
/** With all settings as they are; nobody ends it. */
let common: BackendProcess;
beforeAll(async () => {
  model = copyModel(FIXTURE, { max_position_embeddings: 16384, eos_token_id: null });
  folder = mkdtempSync(join(tmpdir(), 'tidar-journals-'));
  common = await BackendProcess.start({ modelPath: model.path });
});
afterAll(async () => {
  await common.stop('SIGKILL');
  model.remove();
  rmSync(folder, { recursive: true });
});

let running: BackendProcess[] = [];
afterEach(async () => {
  await Promise.all(running.map((backend) => backend.stop('SIGKILL')));
  running = [];
});

interface Place {
  journal?: string;
  port?: number;
}
async function start(place: Place = {}, ...args: string[]): Promise<BackendProcess> {
  const backend = await BackendProcess.start({ modelPath: model.path, args, ...place });
  running.push(backend);
  return backend;
}

/** Where a backend can be found again after its death. */
async function place(): Promise<Required<Place>> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { port, journal: join(folder, `${port}.sqlite`) };
}

let numRequests = 0;
const newId = (): string => `request-${(numRequests += 1)}`;
function bodyOf(requestId: string, changes: Partial<GenerateRequestInput> = {}): string {
  return JSON.stringify({
    request_id: requestId,
    model: 'llama-tidar',
    input: { type: 'tokens', token_ids: prompt },
    max_tokens: NUM_SHORT,
    num_choices: 2,
    sampling: { temperature: 1.2, seed: '7', repetition_penalty: 1.05 },
    decoder: { type: 'tidar', draft_length: 4 },
    ...changes,
  });
}

interface Reader {
  /** All that it got so far. */
  readonly events: GenerateEvent[];
  /** Reads until so many tokens of the first choice are there. */
  until(numTokens: number): Promise<void>;
  /** Reads on to the end, or to the connection's. */
  rest(): Promise<void>;
}

function readerOf(response: Response): Reader {
  const messages = decodeSse(response.body!);
  const events: GenerateEvent[] = [];
  return {
    events,
    async until(numTokens) {
      while (tokenIdsOf(events).length < numTokens) {
        const next = await messages.next();
        if (next.done === true) throw new Error('the stream ended early');
        events.push(parseGenerateEvent(next.value));
      }
    },
    async rest() {
      for await (const message of messages) events.push(parseGenerateEvent(message));
    },
  };
}

const tokensOf = (events: readonly GenerateEvent[]): number[][] =>
  [0, 1].map((choice) => tokenIdsOf(events, choice));
const countsOf = (events: readonly GenerateEvent[]): number[] => tokensOf(events).map(({ length }) => length);
const joined = (...parts: number[][][]): number[][] =>
  [0, 1].map((choice) => parts.flatMap((part) => part[choice]!));

/** The text of a request that nothing disturbs. */
async function unbroken(
  backend: BackendProcess,
  changes: Partial<GenerateRequestInput> = {},
): Promise<number[][]> {
  return tokensOf(await readEvents(await backend.post(bodyOf(newId(), changes))));
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}

async function until(backend: BackendProcess, requestId: string, holds: (answer: JournalAnswer) => boolean) {
  for (let tries = 0; tries < 400; tries++) {
    const answer = await backend.journal(requestId);
    if (holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come true within 10 s');
}

describe('a backend that was killed in mid-stream', () => {
  it('knows all that a reader got of it, starts nothing twice, and another process goes on as if unbroken', async () => {
    const where = await place();
    const [first, other] = [await start(where), common];
    const changes = { max_tokens: NUM_LONG };
    const body = bodyOf(newId(), changes);
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const lease = await first.lease(body);
    const reader = readerOf(await first.post(body, lease));
    await reader.until(300);
    first.child.kill('SIGKILL');
    await expect(reader.rest()).rejects.toThrow();
    const seen = tokensOf(reader.events);

    const again = await start(where);
    const answer = await again.journal(id);
    expect(answer).toMatchObject({
      state: 'interrupted',
      prompt_token_ids: prompt,
      finish_reasons: [null, null],
      error: { code: 'backend_unavailable', retryable: true },
      usage: { prompt_tokens: prompt.length },
      tokens_hash: await hashTokenIds(answer.token_ids!),
      request: { request_id: id, max_tokens: NUM_LONG },
    });
    const kept = answer.token_ids!;
    kept.forEach((tokenIds, choice) => {
      expect(tokenIds.slice(0, seen[choice]!.length)).toEqual(seen[choice]);
    });
    expect(await codeOf(await again.post(body, lease))).toBe('duplicate_attempt');

    const replayed = await readEvents(await again.read(id, { stream: true, from: countsOf(reader.events) }));
    expect(closingEvents(replayed)).toMatchObject([{ type: 'error', error: { retryable: true } }]);
    expect(joined(seen, tokensOf(replayed))).toEqual(kept);

    const resume = { prompt_token_ids: answer.prompt_token_ids!, token_ids: kept };
    const { resume: _, ...asked } = answer.request!;
    const next = JSON.stringify({ ...asked, resume });
    const rest = await readEvents(await other.post(next, await other.lease(next, { attempt: 1 })));
    expect(joined(kept, tokensOf(rest))).toEqual(await unbroken(other, changes));
    expect(await other.journal(id, 1)).toMatchObject({
      state: 'ended',
      token_counts: [NUM_LONG, NUM_LONG],
      finish_reasons: ['length', 'length'],
    });
  });

  it('lets a text that had ended be read to its last event', async () => {
    const where = await place();
    const first = await start(where);
    const id = newId();
    const events = await readEvents(await first.post(bodyOf(id)));
    await first.stop('SIGKILL');
    const again = await start(where);
    expect(await readEvents(await again.read(id, { stream: true }))).toEqual(events);
  });
});

describe('a file that one process has', () => {
  it('is refused to another at its start, by a sentence', async () => {
    const where = await place();
    await start(where);
    const env = { ...process.env, LEASE_SECRETS: TEST_SECRET };
    const args = [MAIN, '--model', model.path, '--port', '0', '--journal', where.journal];
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    expect(stderr).toMatch(/^Another process has the journal .*sqlite; give another file by --journal\.$/m);
    expect(status).toBe(1);
  });
});

describe('a reader who comes back', () => {
  it('goes on where he was, at any token of a running text or one that has ended', async () => {
    const backend = common;
    const changes = { max_tokens: 1200 };
    const id = newId();
    const first = readerOf(await backend.post(bodyOf(id, changes)));
    await first.until(20);
    for (const from of [
      [7, 3],
      [20, 0],
      [0, 0],
    ]) {
      const { token_ids: had } = await backend.journal(id);
      const second = readerOf(await backend.read(id, { stream: true, from }));
      await second.until(50);
      expect(second.events[0]).toMatchObject({ type: 'start', num_prompt_tokens: prompt.length });
      if (from[0] !== 0) continue;
      await second.rest();
      const whole = await unbroken(backend, changes);
      expect(tokensOf(second.events)).toEqual(whole);
      expect(had![0]).toEqual(whole[0]!.slice(0, had![0]!.length));
    }
    const whole = (await backend.journal(id)).token_ids!;
    for (const from of [
      [0, 0],
      [1, 1000],
      [1199, 1200],
      [1200, 1200],
    ]) {
      const events = await readEvents(await backend.read(id, { stream: true, from }));
      expect(tokensOf(events)).toEqual(whole.map((tokenIds, choice) => tokenIds.slice(from[choice])));
      expect(finishesOf(events)).toHaveLength(2);
      expect(closingEvents(events)).toMatchObject([{ type: 'end', usage: { completion_tokens: 2400 } }]);
    }
  });

  it('takes the stream over from the one who has it, who is told so', async () => {
    const backend = common;
    const id = newId();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: NUM_LONG })));
    await first.until(20);
    const second = readerOf(await backend.read(id, { stream: true, from: [0, 0] }));
    await Promise.all([first.rest(), second.rest()]);
    expect(closingEvents(first.events)).toMatchObject([
      { error: { code: 'stream_taken_over', retryable: false } },
    ]);
    expect(closingEvents(second.events)).toMatchObject([{ type: 'end' }]);
    expect(tokensOf(second.events)).toEqual((await backend.journal(id)).token_ids);
  });

  it('is refused where he has more than there is, and where nothing is known', async () => {
    const backend = common;
    const id = newId();
    await readEvents(await backend.post(bodyOf(id)));
    expect(await codeOf(await backend.read(id, { stream: true, from: [61, 0] }))).toBe('invalid_request');
    expect(await codeOf(await backend.read(id, { stream: true, from: [0] }))).toBe('invalid_request');
    expect(await codeOf(await backend.read(id, {}, { attempt: 1 }))).toBe('not_found');
    expect(await codeOf(await backend.read('no-such-request', {}))).toBe('not_found');
  });
});

describe('a client that leaves', () => {
  it('finds its text whole if it comes back within the grace', async () => {
    const backend = common;
    const changes = { max_tokens: 1200 };
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, changes), undefined, leaver.signal));
    await first.until(20);
    leaver.abort();
    const had = tokensOf(first.events);
    await until(backend, id, ({ token_counts: counts }) => counts[0]! > had[0]!.length);
    const events = await readEvents(await backend.read(id, { stream: true, from: countsOf(first.events) }));
    expect(joined(had, tokensOf(events))).toEqual(await unbroken(backend, changes));
    expect(closingEvents(events)).toMatchObject([{ type: 'end' }]);
  });

  it('ends it if it does not: it is written as cancelled, with its tokens until then', async () => {
    const backend = await start({}, '--client-grace-ms', '400');
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: 16000 }), undefined, leaver.signal));
    await first.until(20);
    leaver.abort();
    const answer = await until(backend, id, ({ state }) => state !== 'running');
    expect(answer).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } });
    const [had] = countsOf(first.events);
    expect(answer.token_counts[0]).toBeGreaterThan(had!);
    expect(answer.token_counts[0]).toBeLessThan(16000);
    expect(answer.usage.completion_tokens).toBe(answer.token_counts[0]! + answer.token_counts[1]!);
    expect(answer.tokens_hash).toBe(await hashTokenIds(answer.token_ids!));
    expect(await backend.metric('num_requests_running')).toBe(0);
  });
});

describe('a client that reads slowly', () => {
  it('gives its place to who waits for one, and still gets its text whole', async () => {
    const backend = await start({}, '--max-concurrent', '1');
    // Some kilobytes a token: more than what lies between the two processes can take.
    const changes = { max_tokens: NUM_LONG, num_choices: 1, logprobs: 20 };
    const id = newId();
    const slow = readerOf(await backend.post(bodyOf(id, changes)));
    await slow.until(5);
    const other = await readEvents(await backend.post(bodyOf(newId(), { num_choices: 1 })));
    expect(countsOf(other)).toEqual([NUM_SHORT, 0]);
    expect(await backend.journal(id)).toMatchObject({ state: 'ended', token_counts: [NUM_LONG] });
    await slow.rest();
    expect(tokenIdsOf(slow.events)).toEqual((await backend.journal(id)).token_ids![0]);
    expect(slow.events.filter(({ type }) => type !== 'step').map(({ type }) => type)).toEqual([
      'start',
      'finish',
      'end',
    ]);
  });
});

describe('a lease that grants a part of the text', () => {
  it('may be renewed slice by slice: the text is the same, and never ahead of what was granted', async () => {
    const backend = common;
    const changes = { max_tokens: 200 };
    const body = bodyOf(newId(), changes);
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const reader = readerOf(await backend.post(body, await backend.lease(body, { end_token: 30 })));
    for (let end = 30; end < 200; end += 30) {
      await until(backend, id, ({ token_counts: counts }) => counts.every((count) => count === end));
      const answer = await backend.renew(id, end + 30);
      expect(await answer.json()).toEqual({ end_token: end + 30 });
    }
    await reader.rest();
    expect(tokensOf(reader.events)).toEqual(await unbroken(backend, changes));
    expect(closingEvents(reader.events)).toMatchObject([{ type: 'end' }]);
  });

  it('ends the text where nobody renews it, which may be tried again with another attempt', async () => {
    const backend = await start({}, '--slice-wait-ms', '200');
    const body = bodyOf(newId());
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const events = await readEvents(await backend.post(body, await backend.lease(body, { end_token: 25 })));
    expect(countsOf(events)).toEqual([25, 25]);
    expect(closingEvents(events)).toMatchObject([{ error: { code: 'lease_expired', retryable: true } }]);
    expect(await backend.journal(id)).toMatchObject({ state: 'failed', token_counts: [25, 25] });
    const resume = { prompt_token_ids: prompt, token_ids: tokensOf(events) };
    const next = bodyOf(id, { resume });
    const rest = await readEvents(await backend.post(next, await backend.lease(next, { attempt: 1 })));
    expect(joined(tokensOf(events), tokensOf(rest))).toEqual(await unbroken(backend));
  });

  it('takes less back than it granted from nobody, and renews nothing that has ended or is another’s', async () => {
    const backend = common;
    const body = bodyOf(newId(), { max_tokens: 100 });
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const reader = readerOf(await backend.post(body, await backend.lease(body, { end_token: 40 })));
    await reader.until(40);
    expect(await (await backend.renew(id, 10)).json()).toEqual({ end_token: 40 });
    expect(await codeOf(await backend.renew(id, 100, { attempt: 1 }))).toBe('not_found');
    expect(await codeOf(await backend.renew(id, 100, { purpose: 'read' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.renew(id, 100, { request_id: 'another' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.read(id, {}, { purpose: 'renew' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.read(id, {}, { expires_at_ms: 1 }))).toBe('lease_expired');
    await backend.renew(id, 100);
    await reader.rest();
    expect(await codeOf(await backend.renew(id, 100))).toBe('conflict');
  });
});

describe('a higher attempt', () => {
  it('ends the one before; a lower one is refused from then on', async () => {
    const backend = common;
    const id = newId();
    const reader = readerOf(await backend.post(bodyOf(id, { max_tokens: NUM_LONG })));
    await reader.until(20);
    const body = bodyOf(id);
    const events = await readEvents(await backend.post(body, await backend.lease(body, { attempt: 2 })));
    expect(tokensOf(events)).toEqual(await unbroken(backend));
    await reader.rest();
    expect(closingEvents(reader.events)).toMatchObject([{ error: { code: 'attempt_superseded' } }]);
    expect(await backend.journal(id, 0)).toMatchObject({ state: 'cancelled' });
    for (const attempt of [0, 1, 2]) {
      const refused = await backend.post(body, await backend.lease(body, { attempt }));
      expect(await codeOf(refused)).toBe('duplicate_attempt');
    }
  });
});

describe('a request that is not to be stored', () => {
  it('leaves counts and a hash: its text is gone when its reader has it', async () => {
    const backend = common;
    const id = newId();
    const events = await readEvents(await backend.post(bodyOf(id, { store: false })));
    const answer = await until(backend, id, ({ token_ids: tokenIds }) => tokenIds === null);
    expect(answer).toMatchObject({
      state: 'ended',
      prompt_token_ids: null,
      token_counts: [NUM_SHORT, NUM_SHORT],
      tokens_hash: await hashTokenIds(tokensOf(events)),
      usage: { prompt_tokens: prompt.length, completion_tokens: 2 * NUM_SHORT },
    });
    expect(answer).not.toHaveProperty('request');
    expect(await codeOf(await backend.read(id, { stream: true }))).toBe('not_found');
  });

  it('leaves as little where its process died', async () => {
    const where = await place();
    const first = await start(where);
    const id = newId();
    const reader = readerOf(await first.post(bodyOf(id, { store: false, max_tokens: NUM_LONG })));
    await reader.until(20);
    await first.stop('SIGKILL');
    const answer = await (await start(where)).journal(id);
    expect(answer).toMatchObject({ state: 'interrupted', prompt_token_ids: null, token_ids: null });
    expect(answer.token_counts[0]).toBeGreaterThanOrEqual(20);
  });
});

describe('a backend that drains', () => {
  it('lets readers come for what still runs', async () => {
    const backend = await start();
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: 1200 }), undefined, leaver.signal));
    await first.until(20);
    const stopped = backend.stop('SIGTERM');
    leaver.abort();
    while (!backend.output.includes('"draining"')) await new Promise((resolve) => setTimeout(resolve, 10));
    const events = await readEvents(await backend.read(id, { stream: true }));
    expect(countsOf(events)).toEqual([1200, 1200]);
    expect(closingEvents(events)).toMatchObject([{ type: 'end' }]);
    expect(await stopped).toBe(0);
  });
});

describe('the log', () => {
  it('has no prompt and no token of what was journalled', async () => {
    const backend = common;
    await readEvents(await backend.post(bodyOf(newId())));
    expect(backend.output).toContain('request_end');
    expect(backend.output).not.toContain(prompt.join(','));
    expect(await backend.metric('journal_generations')).toBeGreaterThan(0);
    expect(await backend.metric('journal_bytes')).toBeGreaterThan(0);
    expect(await backend.metric('journal_entries_total')).toBeGreaterThan(10);
  });
});
