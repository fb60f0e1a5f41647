import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SettingsChange } from '../../edge/src/ledger/settings.ts';
import { RawClient, readChunks, readMessages, textOfChunks } from '../support/openai-http.ts';
import {
  SCRIPTED_MODEL,
  type ScriptedBackend,
  type Stage,
  startScriptedBackend,
} from '../support/scripted-backend.ts';
import { ServeProcess } from '../support/serve-process.ts';

const SLICE_TOKENS = 8;
const CONNECT_TIMEOUT_MS = 1_500;
const settled = ({ state }: { state: string }): boolean => state === 'settled';

let folder: string;
let backends: ScriptedBackend[];
let edge: ServeProcess;
let client: RawClient;

/** Backends by their roles: two of one fingerprint, one of another. */
const ROLES = [{}, {}, { fingerprint: 'fp_other' }];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidar-relay-'));
  backends = await Promise.all(ROLES.map((changes) => startScriptedBackend(changes)));
  const vars = {
    BACKENDS: JSON.stringify(backends.map(({ url }) => ({ url }))),
    SLICE_TOKENS: String(SLICE_TOKENS),
    CONNECT_TIMEOUT_MS: String(CONNECT_TIMEOUT_MS),
    START_TIMEOUT_MS: '20000',
    FAILOVER_MS: '3000',
    LEAVE_GRACE_MS: '500',
  };
  edge = await ServeProcess.start({ vars, stateDir: folder });
});
afterAll(async () => {
  await edge?.stop();
  await Promise.all(backends.map((backend) => backend.close()));
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => newClient());
afterEach(() => {
  for (const backend of backends) backend.seen.length = 0;
});

async function newClient(settings: SettingsChange = {}): Promise<void> {
  client = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 100_000, ...settings }));
}

const ask = (content = 'Hi'): object => ({
  model: SCRIPTED_MODEL.id,
  messages: [{ role: 'user', content }],
  max_tokens: 32,
  stream: true,
});
interface ResponseEvent {
  type: string;
  sequence_number: number;
  delta?: string;
}
const WORDS = Array.from({ length: 32 }, (_, index) => `w${index} `);

/** Goes on from wherever the request stands, to a word; then does something else. */
async function tell(stage: Stage, end: number): Promise<void> {
  const { resume } = stage.seen.request;
  await stage.start();
  for (let index = resume?.token_ids[0]?.length ?? 0; index < end; index += 1) {
    await stage.step([index], WORDS[index]!);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const wholeText = WORDS.join('');
async function tellAll(stage: Stage): Promise<void> {
  await tell(stage, 32);
  await stage.end(32);
}
const playAll = (script: (stage: Stage) => Promise<void> | void): void => {
  for (const backend of backends) backend.play(script);
};
const allSeen = () => backends.flatMap((backend) => backend.seen);

describe('a request', () => {
  it('that its first backend does not take goes to the next one, as another attempt and one bill', async () => {
    let numAsked = 0;
    playAll((stage) => {
      numAsked += 1;
      if (numAsked > 1) return tellAll(stage);
      stage.refuse('overloaded', 'Busy.');
    });
    // The one of the other fingerprint may come first for some prompts, and has no second then.
    for (let index = 0; numAsked < 2; index += 1) {
      numAsked = 0;
      const { chunks, isDone } = await readChunks(await client.post(ask(`prompt ${index}`)));
      if (!isDone) continue;
      expect(textOfChunks(chunks)).toBe(wholeText);
    }
    const bill = await client.lastRequest(settled);
    expect(bill).toMatchObject({ num_attempts: 2, completion_tokens: 32 });
    const leases = allSeen().flatMap(({ lease }) => (lease.request_id === bill.id ? [lease] : []));
    expect(leases.map(({ attempt }) => attempt).toSorted((one, other) => one - other)).toEqual([0, 1]);
  });

  it('goes to a backend that is there where its first one accepts connections and says nothing', async () => {
    playAll(tellAll);
    await readChunks(await client.post(ask()));
    const [silent, ...others] = backends;
    // What the edge keeps of the fleet for two seconds still names it.
    silent!.stall();
    silent!.play(() => undefined);
    // The first answer may have been its own: where a prompt goes depends on the ports.
    const numSeen = silent!.seen.length;
    try {
      for (let index = 0; silent!.seen.length === numSeen; index += 1) {
        const { chunks, isDone } = await readChunks(await client.post(ask(`silent ${index}`)));
        expect(isDone).toBe(true);
        expect(textOfChunks(chunks)).toBe(wholeText);
      }
      expect(others.flatMap(({ seen }) => seen).length).toBeGreaterThan(0);
      await silent!.seen.at(-1)?.closed;
    } finally {
      silent!.recover();
    }
  });
});

describe('a stream whose backend dies', () => {
  it('goes on at a backend of the same fingerprint alone, with the tokens and the seed', async () => {
    playAll(async (stage) => {
      await tell(stage, 12);
      await new Promise((resolve) => setTimeout(resolve, 100));
      stage.die();
      playAll(tellAll);
    });
    const { chunks, isDone } = await readChunks(await client.post(ask()));
    const [first, second] = allSeen().toSorted((one, other) => one.lease.attempt - other.lease.attempt);
    if (first!.lease.fingerprint === 'fp_other') expect(second!.lease.fingerprint).toBe('fp_other');
    expect(isDone).toBe(true);
    expect(textOfChunks(chunks)).toBe(wholeText);
    expect(second!.lease).toMatchObject({
      attempt: 1,
      fingerprint: first!.lease.fingerprint,
      first_tokens: [12],
    });
    expect(second!.request.resume?.prompt_token_ids).toEqual([1, 2, 3]);
    expect(second!.request.sampling.seed).toBe(first!.request.sampling.seed);
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 32, estimated: false });
  });

  it('has the events of an unbroken one, with their numbers, where it is a response’s', async () => {
    const post = async (): Promise<ResponseEvent[]> => {
      const headers = { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' };
      const body = JSON.stringify({
        model: SCRIPTED_MODEL.id,
        input: 'Hi',
        stream: true,
        tidar: { seed: 1 },
      });
      const messages = await readMessages(
        await fetch(`${edge.url}/v1/responses`, { method: 'POST', headers, body }),
      );
      return messages.map(({ data }) => JSON.parse(data) as ResponseEvent);
    };
    playAll(tellAll);
    const unbroken = await post();
    playAll(async (stage) => {
      await tell(stage, 12);
      await new Promise((resolve) => setTimeout(resolve, 100));
      stage.die();
      playAll(tellAll);
    });
    const broken = await post();
    const numbersOf = (events: object[]): unknown[] =>
      events.map((event) => Object.entries(event).slice(0, 2));
    expect(numbersOf(broken)).toEqual(numbersOf(unbroken));
    expect(broken.map(({ delta }) => delta ?? '').join('')).toBe(wholeText);
    expect(broken.at(-1)).toMatchObject({ type: 'response.completed', response: { status: 'completed' } });
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 32, num_attempts: 2 });
  });

  it('ends in one error that a retry may mend where nobody of its fingerprint takes it in time', async () => {
    playAll(async (stage) => {
      await tell(stage, 12);
      await new Promise((resolve) => setTimeout(resolve, 100));
      stage.die();
      playAll((next) => next.refuse('shutting_down', 'Going.'));
    });
    const { chunks, isDone } = await readChunks(await client.post(ask()));
    expect(isDone).toBe(false);
    expect(chunks.filter(({ error }) => error !== undefined)).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    const fingerprints = new Set(allSeen().map(({ lease }) => lease.fingerprint));
    expect(fingerprints.size).toBe(1);
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 12, estimated: false });
  });

  it('is given up where it ends its backends one after the other at the same token', async () => {
    playAll(async (stage) => {
      await tell(stage, 5);
      await new Promise((resolve) => setTimeout(resolve, 50));
      stage.die();
    });
    const { chunks } = await readChunks(await client.post(ask()));
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'backend_unavailable' } });
    expect(allSeen().length).toBeLessThanOrEqual(5);
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 5 });
  });

  it('is made whole where all is there but its end', async () => {
    playAll(async (stage) => {
      await tell(stage, 32);
      await stage.finish(0, 'length');
      await new Promise((resolve) => setTimeout(resolve, 100));
      stage.die();
    });
    const { chunks, isDone } = await readChunks(await client.post(ask()));
    expect(isDone).toBe(true);
    expect(textOfChunks(chunks)).toBe(wholeText);
    expect(await client.lastRequest(settled)).toMatchObject({
      finish_reason: 'length',
      completion_tokens: 32,
    });
  });
});

describe('a slice', () => {
  it('is renewed at its half, at the very instance, without a stop of the stream', async () => {
    playAll(tellAll);
    const { chunks } = await readChunks(await client.post(ask()));
    expect(textOfChunks(chunks)).toBe(wholeText);
    const [seen] = allSeen();
    expect(seen?.lease).toMatchObject({ purpose: 'generate', end_token: SLICE_TOKENS });
    const renewals = backends
      .flatMap(({ renewals: leases }) => leases)
      .filter(({ request_id: id }) => id === seen?.lease.request_id);
    const ends = renewals.map(({ end_token: end }) => end);
    expect(ends).toEqual(ends.toSorted((one, other) => one - other));
    expect(ends.at(-1)).toBe(32);
    expect(renewals[0]?.end_token).toBeLessThanOrEqual(2 * SLICE_TOKENS);
    for (const lease of renewals) expect(lease).toMatchObject({ backend: seen?.lease.backend, attempt: 0 });
  });

  it('that no budget is left for ends the text with that word, and a bill that uses up the budget', async () => {
    // Four texts with a prompt of 3 tokens: 87 of 90 tokens are left for them, 21 for each.
    await newClient({ budget_tokens: 90 });
    playAll(async (stage) => {
      const { lease, request } = stage.seen;
      await stage.start();
      for (let choice = 0; choice < 4; choice += 1) {
        for (let index = request.resume?.token_ids[choice]?.length ?? 0; index < lease.end_token; index += 1)
          await stage.step([index], WORDS[index]!, { choice });
      }
      await stage.fail('lease_expired', 'The lease granted no more, and nobody renewed it.');
    });
    const { chunks, isDone } = await readChunks(await client.post({ ...ask(), n: 4 }));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'insufficient_quota' } });
    for (let choice = 0; choice < 4; choice += 1)
      expect(textOfChunks(chunks, choice)).toBe(WORDS.slice(0, 21).join(''));
    await client.lastRequest(settled);
    expect((await client.usage()).total).toMatchObject({ prompt_tokens: 3, completion_tokens: 84 });
  });
});

describe('a key', () => {
  it('that expires in mid-stream ends it at that moment, its bill what was sent', async () => {
    playAll(async (stage) => {
      await tell(stage, 3);
      await stage.seen.closed;
      await stage.fail('cancelled', 'The client left.');
    });
    const expiresAt = Math.ceil(Date.now() / 1000) + 3;
    await newClient({ expires_at: expiresAt });
    const { chunks, isDone } = await readChunks(await client.post(ask()));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'key_expired' } });
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1000);
    expect(textOfChunks(chunks)).toBe('w0 w1 w2 ');
  });
});
