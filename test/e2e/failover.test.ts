import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { ServeProcess } from '../support/serve-process.ts';
import { Site } from '../support/site.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';

let model: TinyChatModel;
let folder: string;
let sites: Site[];
let edge: ServeProcess;
let client: RawClient;
beforeAll(async () => {
  model = await makeTinyChatModel();
  folder = await mkdtemp(join(tmpdir(), 'tidar-failover-'));
  sites = await Promise.all(['a', 'b'].map((name) => Site.start(model.path, join(folder, `${name}.sqlite`))));
  const backends = sites.map(({ proxy }) => ({ url: proxy.url }));
  const vars = { BACKENDS: JSON.stringify(backends), SLICE_TOKENS: '32', LEAVE_GRACE_MS: '500' };
  edge = await ServeProcess.start({ vars, stateDir: join(folder, 'state') });
});
afterAll(async () => {
  await edge?.stop();
  await Promise.all(sites.map((site) => site.close()));
  await model?.remove();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 100_000 }));
});

const ask = (changes: object = {}): object => ({
  model: 'tiny-chat',
  messages: [{ role: 'user', content: 'hello, 12+30=?' }],
  max_tokens: 150,
  seed: 5,
  stream: true,
  tidar: { ignore_eos: true },
  ...changes,
});

/** Posts, holds the answer after so many bytes, does something to the site that it came from. */
async function disturbed(
  body: object,
  numBytes: number,
  disturb: (site: Site, others: Site[]) => Promise<void>,
): Promise<Awaited<ReturnType<typeof readChunks>>> {
  const held = Promise.race(
    sites.map(async (site) => {
      await site.proxy.holdAfter(numBytes);
      return site;
    }),
  );
  const answer = client.post(body).then(readChunks);
  const site = await held;
  const others = sites.filter((other) => other !== site);
  for (const { proxy } of others) proxy.release();
  await disturb(site, others);
  return answer;
}

async function expectOneBill(numTokens: number): Promise<void> {
  const record = await client.lastRequest(({ state }) => state === 'settled');
  expect(record).toMatchObject({ completion_tokens: numTokens, estimated: false, finish_reason: 'length' });
}

describe('a backend that is killed in mid-stream', () => {
  it.each([
    ['one text', {}, 150],
    ['several texts, drawn', { n: 3, temperature: 1, tidar: { ignore_eos: true, plan: 'auto' } }, 450],
    ['a text with its log-probabilities', { logprobs: true, top_logprobs: 2 }, 150],
  ])(
    'is no break for its client, wherever it dies: %s is the same as unbroken, and is billed once',
    async (_, changes, numTokens) => {
      const body = ask(changes);
      const numChoices = (changes as { n?: number }).n ?? 1;
      const whole = await readChunks(await client.post(body));
      expect(whole.isDone).toBe(true);
      for (const numBytes of [400, 1_500, 4_000, 9_000]) {
        const broken = await disturbed(body, numBytes, async (site) => {
          await site.kill();
          await site.start();
        });
        expect(broken.isDone).toBe(true);
        for (let choice = 0; choice < numChoices; choice += 1) {
          expect(textOfChunks(broken.chunks, choice)).toBe(textOfChunks(whole.chunks, choice));
        }
        const reasons = broken.chunks.flatMap(({ choices }) => choices.map((one) => one.finish_reason));
        expect(reasons.filter((reason) => reason !== null)).toHaveLength(numChoices);
        await expectOneBill(numTokens);
      }
      expect((await client.usage()).total).toMatchObject({
        num_requests: 5,
        completion_tokens: 5 * numTokens,
      });
    },
  );

  it('goes on at itself once it is back, where no other is there', async () => {
    const whole = textOfChunks((await readChunks(await client.post(ask()))).chunks);
    const broken = await disturbed(ask(), 3_000, async (site, others) => {
      await Promise.all(others.map((other) => other.kill()));
      await site.kill();
      await site.start();
    });
    await sites
      .find(({ process }) => process?.child.exitCode !== null || process.child.signalCode !== null)
      ?.start();
    expect(textOfChunks(broken.chunks)).toBe(whole);
    await expectOneBill(150);
  });
});

describe('a connection that is cut in mid-stream', () => {
  it('is read on where it was: the same attempt, the same text', async () => {
    const whole = textOfChunks((await readChunks(await client.post(ask()))).chunks);
    const broken = await disturbed(ask(), 3_000, async (site) => site.proxy.cut());
    expect(textOfChunks(broken.chunks)).toBe(whole);
    await expectOneBill(150);
    expect(await client.lastRequest(() => true)).toMatchObject({ num_attempts: 1 });
  });
});

describe('a lease', () => {
  it('is of use for its own route, instance, request and body alone', async () => {
    const { process: backend, proxy } = sites[0]!;
    const body = JSON.stringify({ stream: false });
    const target = { backend: proxy.url, request_id: 'req_1', end_token: 9 };
    const changes: [path: string, body: string, lease: Partial<LeasePayload>][] = [
      ['/v1/requests/req_1', body, { purpose: 'generate' }],
      ['/v1/requests/req_1', body, { purpose: 'renew' }],
      ['/v1/requests/req_2', body, { purpose: 'read' }],
      ['/v1/requests/req_1', JSON.stringify({ stream: true }), { purpose: 'read' }],
      ['/v1/requests/req_1', body, { purpose: 'read', backend: sites[1]!.proxy.url }],
      ['/v1/requests/req_1', body, { purpose: 'read', expires_at_ms: Date.now() - 1 }],
      ['/v1/requests/req_1/lease', '', { purpose: 'read' }],
      ['/v1/requests/req_1/lease', '', { purpose: 'generate' }],
      ['/v1/requests/req_1', body, { purpose: 'forget' }],
      ['/v1/requests/req_1/forget', '', { purpose: 'read' }],
      ['/v1/requests/req_1/forget', '', { purpose: 'generate' }],
      ['/v1/requests/req_2/forget', '', { purpose: 'forget' }],
      ['/v1/generate', body, { purpose: 'read' }],
      ['/v1/generate', body, { purpose: 'renew' }],
    ];
    const ask = async (path: string, sent: string, signed: string, lease: Partial<LeasePayload>) => {
      const token = await backend!.lease(signed, { ...target, ...lease });
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      return fetch(proxy.url + path, { method: 'POST', headers, body: sent });
    };
    for (const [path, sent, lease] of changes) {
      const signed = /\/(lease|forget)$/.test(path) ? '' : body;
      expect((await ask(path, sent, signed, lease)).status, `${path} ${JSON.stringify(lease)}`).toBe(401);
    }
    expect((await ask('/v1/requests/req_1', body, body, { purpose: 'read' })).status).toBe(404);
  });
});
