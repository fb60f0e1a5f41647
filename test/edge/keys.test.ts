import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KeyView } from '../../edge/src/ledger/types.ts';
import { AdminClient } from '../support/admin-client.ts';
import { EdgeProcess } from '../support/edge-process.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

type NewKey = KeyView & { key: string };
interface List<Item> {
  data: Item[];
  has_more: boolean;
}
interface Change {
  action: string;
  actor: string;
  subject: string;
  detail: Record<string, unknown>;
}

const PRICES = { '*': { prompt: 10, cached: 1, completion: 100 } };
const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 20 };

let backend: ScriptedBackend;
let edge: EdgeProcess;
let admin: AdminClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  const vars = { BACKENDS: JSON.stringify([{ url: backend.url }]), PRICES: JSON.stringify(PRICES) };
  edge = await EdgeProcess.start({ vars });
  admin = new AdminClient(edge.url);
});
afterAll(async () => {
  await edge.stop();
  await backend.close();
});
beforeEach(() => {
  // 3 tokens of the prompt, 1 of them cached, and 2 tokens.
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], 'ok');
    await stage.end(2);
  });
});

const newKey = async (settings: object = {}): Promise<NewKey> =>
  (await admin.post<NewKey>('/keys', settings)).body;
const clientOf = ({ key }: { key: string }): RawClient => new RawClient(edge.url, key);
const errorOf = async (response: Response): Promise<{ status: number; code: string; message: string }> => {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...error };
};
const changesOf = async (id: string): Promise<Change[]> => {
  const { body: list } = await admin.get<List<Change>>('/audit?limit=1000');
  return list.data.filter(({ subject }) => subject === id);
};

describe('a key', () => {
  it('has every setting that it was made with, and the defaults for the others', async () => {
    const settings = { name: 'Ann', metadata: { team: 'a' }, models: ['scripted'], tokens_per_minute: 5000 };
    const { key, ...view } = await newKey(settings);
    expect(view).toMatchObject({
      ...settings,
      requests_per_minute: 600,
      budget_nanos: null,
      revoked_at: null,
    });
    expect((await admin.get(`/keys/${view.id}`)).body).toEqual(view);
    expect((await clientOf({ key }).usage()).key).toMatchObject({ id: view.id, ...settings });
  });

  it('is listed with all the others, in pages, and never with a secret', async () => {
    const made = await Promise.all(
      Array.from({ length: 5 }, (_, index) => newKey({ name: `page ${index}` })),
    );
    const listed: KeyView[] = [];
    for (let after = '', more = true; more;) {
      const { body: page } = await admin.get<List<KeyView>>(`/keys?limit=2${after && `&after=${after}`}`);
      listed.push(...page.data);
      [after, more] = [page.data.at(-1)?.id ?? '', page.has_more];
    }
    expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
    for (const { key, ...view } of made) {
      expect(listed).toContainEqual(view);
      expect(JSON.stringify(listed)).not.toContain(key.split('_')[2]);
    }
  });

  it('is changed in what is given and in nothing else, at once', async () => {
    const { key, ...view } = await newKey({ name: 'before', requests_per_minute: 1 });
    expect((await clientOf({ key }).post(body)).status).toBe(200);
    expect((await clientOf({ key }).post(body)).status).toBe(429);
    const { body: changed } = await admin.ask('PATCH', `/keys/${view.id}`, { models: ['other'] });
    expect(changed).toEqual({ ...view, models: ['other'] });
    expect((await admin.ask('PATCH', `/keys/${view.id}`, { modles: [] })).status).toBe(400);
    expect(await errorOf(await clientOf({ key }).post(body))).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
    expect(
      await (await fetch(`${edge.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).json(),
    ).toMatchObject({ data: [] });
  });

  it('that is rotated works with both secrets for a while, then with the new one alone', async () => {
    const old = await newKey();
    const { body: rotated } = await admin.post<NewKey>(`/keys/${old.id}/rotate`, { grace_seconds: 2 });
    expect(rotated.id).toBe(old.id);
    expect(rotated.key).not.toBe(old.key);
    for (const secret of [old, rotated]) expect((await clientOf(secret).post(body)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect(await errorOf(await clientOf(old).post(body))).toMatchObject({
      status: 401,
      code: 'invalid_api_key',
    });
    expect((await clientOf(rotated).post(body)).status).toBe(200);
    expect((await clientOf(rotated).usage()).total.num_requests).toBe(3);
    const { body: again } = await admin.post<NewKey>(`/keys/${old.id}/rotate`, { grace_seconds: 0 });
    expect((await clientOf(rotated).post(body)).status).toBe(401);
    expect((await clientOf(again).post(body)).status).toBe(200);
  });

  it('that is revoked is refused from then on, and cannot come back', async () => {
    const key = await newKey();
    expect((await admin.post<NewKey>(`/keys/${key.id}/revoke`)).body.revoked_at).toBeTypeOf('number');
    for (const path of ['/v1/models', '/v1/usage']) {
      const response = await fetch(edge.url + path, { headers: { authorization: `Bearer ${key.key}` } });
      expect(await errorOf(response)).toMatchObject({ status: 401, code: 'key_revoked' });
    }
    expect(await errorOf(await clientOf(key).post(body))).toMatchObject({ code: 'key_revoked' });
    expect((await admin.post(`/keys/${key.id}/rotate`)).status).toBe(401);
  });

  it('that is revoked in mid-stream ends it with a clear error, its bill what was sent', async () => {
    const key = await newKey();
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5, 6], 'abc');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await admin.post(`/keys/${key.id}/revoke`);
      // Silent from here on: nothing but the revocation can end the stream before the time-outs do.
    });
    const { chunks, isDone } = await readChunks(await clientOf(key).post({ ...body, stream: true }));
    expect(isDone).toBe(false);
    expect(textOfChunks(chunks.slice(0, -1))).toBe('abc');
    expect(chunks.at(-1)).toMatchObject({ error: { code: 'key_revoked' } });
    await backend.seen.at(-1)?.closed;
    await expect
      .poll(async () => (await admin.get<List<object>>(`/usage?key=${key.id}`)).body.data, {
        timeout: 20_000,
      })
      .toMatchObject([{ num_requests: 1, completion_tokens: 3 }]);
  });

  it('that is revoked while its request waits for its turn ends it, and costs nothing', async () => {
    const key = await newKey();
    backend.play(() => undefined);
    const waiting = clientOf(key).post(body);
    await expect.poll(async () => (await clientOf(key).usage()).requests.length).toBe(1);
    await admin.post(`/keys/${key.id}/revoke`);
    expect(await errorOf(await waiting)).toMatchObject({ status: 401, code: 'key_revoked' });
    await expect
      .poll(async () => (await admin.get<List<object>>(`/usage?key=${key.id}`)).body.data, {
        timeout: 20_000,
      })
      .toMatchObject([{ num_requests: 1, prompt_tokens: 0, completion_tokens: 0, cost_nanos: 0 }]);
  });

  it('that has expired says so', async () => {
    const key = await newKey({ expires_at: Math.floor(Date.now() / 1000) - 1 });
    expect(await errorOf(await clientOf(key).post(body))).toMatchObject({ status: 401, code: 'key_expired' });
  });

  it('has no more requests open than it may, and a place again when one ends', async () => {
    const key = await newKey({ concurrent_streams: 2 });
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    backend.play(async (stage) => {
      await stage.start();
      await gate;
      await stage.end(0);
    });
    const running = [1, 2].map(() => clientOf(key).post(body));
    await expect.poll(async () => (await clientOf(key).usage()).requests.length).toBe(2);
    expect(await errorOf(await clientOf(key).post(body))).toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
    });
    open();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await clientOf(key).post(body)).status).toBe(200);
  });
});

describe('the audit log', () => {
  it('tells every change, who made it, and none that was refused', async () => {
    const { id } = await newKey({ name: 'watched' });
    await admin.ask('PATCH', `/keys/${id}`, { name: 'renamed' });
    await admin.ask('PATCH', `/keys/${id}`, { name: '' });
    await admin.post(`/keys/${id}/rotate`);
    await admin.post(`/keys/${id}/revoke`);
    await admin.post(`/keys/${id}/revoke`);
    const changes = (await changesOf(id)).reverse();
    expect(changes.map(({ action }) => action)).toEqual([
      'key.create',
      'key.update',
      'key.rotate',
      'key.revoke',
    ]);
    expect(changes.every(({ actor }) => actor === 'admin')).toBe(true);
    expect(changes[1]?.detail).toEqual({ name: 'renamed' });
  });
});

describe('an admin token', () => {
  const scopes = ['keys:read', 'keys:write', 'usage:read', 'fleet:read', 'audit:read', 'admin'];
  const asks: [scope: string, method: string, path: string, body?: object][] = [
    ['keys:read', 'GET', '/keys'],
    ['keys:write', 'POST', '/keys', {}],
    ['usage:read', 'GET', '/usage'],
    ['usage:read', 'GET', '/requests'],
    ['fleet:read', 'GET', '/backends'],
    ['audit:read', 'GET', '/audit'],
    ['admin', 'GET', '/tokens'],
    ['admin', 'POST', '/tokens', { name: 'made by a token', scopes: ['admin'] }],
  ];
  const newToken = async (settings: object): Promise<{ id: string; token: string }> =>
    (await admin.post<{ id: string; token: string }>('/tokens', settings)).body;

  it.each(scopes)('with the scope %s may do what that says and nothing else', async (scope) => {
    const { token, id } = await newToken({ name: scope, scopes: [scope] });
    const client = new AdminClient(edge.url, token);
    for (const [needed, method, path, sent] of asks) {
      const { status } = await client.ask(method, path, sent);
      const isAllowed = scope === 'admin' || scope === needed;
      expect([path, isAllowed ? status < 300 : status]).toEqual([path, isAllowed ? true : 403]);
    }
    if (scope !== 'keys:write') return;
    const { body: made } = await client.post<NewKey>('/keys');
    expect(await changesOf(made.id)).toMatchObject([{ actor: `token:${id}`, action: 'key.create' }]);
  });

  it('is refused once it is revoked or has expired, or is no admin token', async () => {
    const { id, token } = await newToken({ name: 'a', scopes: ['admin'] });
    const client = new AdminClient(edge.url, token);
    expect((await client.get('/keys')).status).toBe(200);
    await admin.post(`/tokens/${id}/revoke`);
    const expired = await newToken({ name: 'b', scopes: ['admin'], expires_at: 1 });
    const { key } = await newKey();
    for (const wrong of [token, expired.token, key, `${token}x`, 'x']) {
      expect(await new AdminClient(edge.url, wrong).get('/keys')).toMatchObject({ status: 401 });
    }
    const { body: list } = await admin.get<List<{ id: string }>>('/tokens');
    expect(list.data.find((view) => view.id === id)).toMatchObject({ name: 'a', scopes: ['admin'] });
    expect(JSON.stringify(list)).not.toContain(token);
  });
});

describe('a budget', () => {
  it('of tokens is never overdrawn, and tells what is left and what was asked', async () => {
    // A request holds its body's bytes (64, the context, at most) less the room for 20 tokens, and these.
    const key = await newKey({ budget_tokens: 70 });
    expect((await clientOf(key).post(body)).status).toBe(200);
    expect((await clientOf(key).usage()).budget).toMatchObject({ spent_tokens: 5, held_tokens: 0 });
    expect((await clientOf(key).post(body)).status).toBe(200);
    const refused = await clientOf(key).post(body);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(await errorOf(refused)).toMatchObject({
      status: 429,
      code: 'insufficient_quota',
      type: 'insufficient_quota',
    });
    await admin.ask('PATCH', `/keys/${key.id}`, { budget_tokens: 74 });
    expect((await clientOf(key).post(body)).status).toBe(200);
  });

  it('of money counts prompt, cached and completion tokens at their own price', async () => {
    const key = await newKey({ budget_nanos: 2_440 + 220, budget_refill: 'daily' });
    expect((await clientOf(key).post(body)).status).toBe(200);
    const { total, budget, requests } = await clientOf(key).usage();
    expect(total.cost_nanos).toBe(2 * 10 + 1 + 2 * 100);
    expect(requests[0]?.cost_nanos).toBe(total.cost_nanos);
    expect(budget.spent_nanos).toBe(total.cost_nanos);
    expect(budget.refills_at).toBe(Math.ceil(Date.now() / 86_400_000) * 86_400);
    expect(await errorOf(await clientOf(key).post(body))).toMatchObject({ code: 'insufficient_quota' });
  });
});
