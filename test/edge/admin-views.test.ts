import { HEARTBEAT_PATH, signHeartbeat } from '@tidar/shared/heartbeat.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { receiptKeysSchema, type SignedReceipt, verifyReceipt } from '@tidar/shared/receipt.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allHeard, MIGRATIONS, receiveHeartbeat } from '../../edge/src/fleet/heartbeats.ts';
import type { LiveRequest, RequestRecord, UsageCounts, UsageReport } from '../../edge/src/ledger/types.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { BackendView } from '../../edge/src/fleet/types.ts';
import { AdminClient } from '../support/admin-client.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { openNodeSql } from '../support/node-sql.ts';
import { RawClient, readChunks } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

interface List<Item> {
  data: Item[];
  has_more: boolean;
}
type Live = LiveRequest & { key_id: string };
type UsageRow = UsageCounts & { key_id?: string; day?: string; model?: string };
interface Found {
  key_id: string;
  request: RequestRecord;
  receipt: SignedReceipt | null;
}

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 20 };
const DEAD = 'http://127.0.0.1:9';

let backend: ScriptedBackend;
let edge: EdgeHarness;
let admin: AdminClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  const prices = { '*': { prompt: 10, cached: 1, completion: 100 } };
  edge = await startEdgeHarness({
    BACKENDS: JSON.stringify([{ url: backend.url }, { url: DEAD }]),
    PRICES: JSON.stringify(prices),
  });
  admin = new AdminClient(edge.url);
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});
beforeEach(() => {
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], 'ok');
    await stage.end(2);
  });
});

async function newClient(settings: object = {}): Promise<{ id: string; client: RawClient }> {
  const { body: made } = await admin.post<{ id: string; key: string }>('/keys', settings);
  return { id: made.id, client: new RawClient(edge.url, made.key) };
}
const liveOf = async (keyId: string): Promise<Live[]> => {
  const { body: list } = await admin.get<List<Live>>('/requests');
  return list.data.filter((request) => request.key_id === keyId);
};

describe('what runs now', () => {
  it('is told with its key, its backend and the tokens that its client has, until it ends', async () => {
    const { id, client } = await newClient();
    const { promise: middle, resolve: reach } = Promise.withResolvers<void>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5, 6], 'abc');
      reach();
      await gate;
      await stage.step([7], 'd');
      await stage.end(4);
    });
    expect(await liveOf(id)).toEqual([]);
    const answer = client.post({ ...body, stream: true, user: 'ann' }).then(readChunks);
    await middle;
    const expected = {
      model: SCRIPTED_MODEL.id,
      backend: backend.url,
      has_started: true,
      prompt_tokens: 3,
      completion_tokens: 3,
      max_tokens: 20,
      num_attempts: 1,
      client_left: false,
      user: 'ann',
    };
    // The edge may still be reading what the backend has sent.
    await expect.poll(() => liveOf(id), { timeout: 10_000 }).toMatchObject([expected]);
    open();
    expect((await answer).isDone).toBe(true);
    await expect.poll(() => liveOf(id), { timeout: 10_000 }).toEqual([]);
  });

  it('is told newest first, as many as are asked for, and that there are more', async () => {
    const clients = [await newClient(), await newClient()];
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    backend.play(async (stage) => {
      await stage.start();
      await gate;
      await stage.end(0);
    });
    const running: Promise<Response>[] = [];
    for (const { id, client } of [...clients, ...clients]) {
      const before = (await liveOf(id)).length;
      running.push(client.post(body));
      await expect.poll(async () => (await liveOf(id)).length, { timeout: 10_000 }).toBe(before + 1);
    }
    const { body: all } = await admin.get<List<Live>>('/requests');
    expect(all.has_more).toBe(false);
    expect(all.data).toHaveLength(4);
    const times = all.data.map(({ created_ms: createdMs }) => createdMs);
    expect(times).toEqual([...times].sort((one, other) => other - one));
    const { body: some } = await admin.get<List<Live>>('/requests?limit=3');
    expect(some.data.map(({ id }) => id)).toEqual(all.data.slice(0, 3).map(({ id }) => id));
    expect(some.has_more).toBe(true);
    open();
    await Promise.all(running);
  });
});

describe('a request that is looked up', () => {
  it('has the receipt that its own key gets, with the key named or not', async () => {
    const { id, client } = await newClient();
    const requestId = (await client.post(body)).headers.get('x-request-id') ?? '';
    const { body: byName } = await admin.get<Found>(`/requests/${requestId}?key=${id}`);
    const { body: found } = await admin.get<Found>(`/requests/${requestId}`);
    expect(found).toEqual(byName);
    expect(found).toMatchObject({ key_id: id, request: { id: requestId, completion_tokens: 2 } });
    const headers = { authorization: `Bearer ${client.key}` };
    const own = await fetch(`${edge.url}/v1/usage/requests/${requestId}`, { headers });
    expect(((await own.json()) as Found).receipt).toEqual(found.receipt);
    const keys: unknown = await (await fetch(`${edge.url}/v1/receipt-keys`)).json();
    expect(await verifyReceipt(found.receipt!, receiptKeysSchema.parse(keys).keys)).toBe(true);
  });

  it('is not found under another key, and what to do is said', async () => {
    const { client } = await newClient();
    const other = await newClient();
    const requestId = (await client.post(body)).headers.get('x-request-id') ?? '';
    expect(await admin.get(`/requests/${requestId}?key=${other.id}`)).toMatchObject({ status: 404 });
    expect(await admin.get('/requests/req_unknown')).toMatchObject({
      status: 404,
      body: { error: { message: expect.stringContaining('name its key') } },
    });
    expect(await admin.get('/requests/x?key=nonsense')).toMatchObject({ status: 400 });
  });
});

describe('usage', () => {
  it('is told of one key as its holder sees it, even when the key has ended', async () => {
    const { id, client } = await newClient({ budget_tokens: 1000 });
    await client.post(body);
    const own = await client.usage();
    expect((await admin.get<UsageReport>(`/keys/${id}/usage?limit=100`)).body).toEqual(own);
    await admin.post(`/keys/${id}/revoke`);
    const { body: ended } = await admin.get<UsageReport>(`/keys/${id}/usage`);
    expect(ended).toMatchObject({ total: own.total, budget: { spent_tokens: 5 } });
    expect(await admin.get('/keys/0000000000000000/usage')).toMatchObject({ status: 404 });
  });

  it('in groups is the sum of its rows', async () => {
    const clients = [await newClient(), await newClient()];
    for (const { client } of clients) await client.post(body);
    for (const { id } of clients) {
      await expect
        .poll(async () => (await admin.get<List<UsageRow>>(`/usage?key=${id}`)).body.data.length, {
          timeout: 20_000,
        })
        .toBe(1);
    }
    const rows = (await admin.get<List<UsageRow>>('/usage?limit=10000')).body.data;
    const sum = (of: readonly UsageRow[]): number =>
      of.reduce((total, row) => total + row.completion_tokens, 0);
    for (const [group, nameOf] of [
      ['key', (row: UsageRow) => row.key_id],
      ['day', (row: UsageRow) => row.day],
      ['model', (row: UsageRow) => row.model],
    ] as const) {
      const grouped = (await admin.get<List<UsageRow>>(`/usage?group=${group}`)).body.data;
      expect(new Set(grouped.map(nameOf))).toEqual(new Set(rows.map(nameOf)));
      expect(grouped).toHaveLength(new Set(rows.map(nameOf)).size);
      for (const one of grouped) {
        expect(one.completion_tokens).toBe(sum(rows.filter((row) => nameOf(row) === nameOf(one))));
        expect(Object.keys(one).filter((name) => ['key_id', 'day', 'model'].includes(name))).toHaveLength(1);
      }
    }
    expect(await admin.get('/usage?group=hour')).toMatchObject({ status: 400 });
  });
});

describe('the backends', () => {
  it('are told with health, load and slot curve, as far as each says it', async () => {
    const curve: [number, number][] = [
      [1, 2.5],
      [4, 3.25],
    ];
    const heartbeat = {
      address: backend.url,
      protocol_version: PROTOCOL_VERSION,
      models: [SCRIPTED_MODEL],
      load: { running: 1, queued: 2, max_concurrent: 8 },
      slot_curve: curve,
      draining: true,
      sent_at_ms: Date.now(),
    };
    const authorization = `Bearer ${await signHeartbeat(heartbeat, TEST_SECRETS.LEASE_SECRETS)}`;
    await fetch(edge.url + HEARTBEAT_PATH, { method: 'POST', headers: { authorization } });
    // What the edge knows of the fleet is at most 2 s old.
    await expect
      .poll(async () => (await admin.get<List<BackendView>>('/backends')).body.data, { timeout: 10_000 })
      .toMatchObject([
        { address: DEAD, status: 'unreachable', load: null, slot_curve: null, heartbeat_age_ms: null },
        {
          address: backend.url,
          status: 'draining',
          load: heartbeat.load,
          slot_curve: curve,
          models: [{ id: SCRIPTED_MODEL.id, fingerprint: SCRIPTED_MODEL.fingerprint }],
        },
      ]);
  });

  it('that have fallen silent are known for a while', () => {
    const sql = openNodeSql();
    migrate(sql, MIGRATIONS);
    const sent = {
      address: 'http://silent',
      protocol_version: PROTOCOL_VERSION,
      models: [],
      load: { running: 0, queued: 0, max_concurrent: 1 },
      draining: false,
      sent_at_ms: 1_000_000,
    };
    receiveHeartbeat(sql, sent, 1_000_000);
    expect(allHeard(sql, 1_100_000)).toMatchObject([{ heartbeat: sent, receivedAtMs: 1_000_000 }]);
    expect(allHeard(sql, 1_121_000)).toEqual([]);
  });
});

describe('who holds an admin token', () => {
  it('is told what it may do, whatever that is, and nobody else', async () => {
    expect((await admin.get('/me')).body).toMatchObject({
      name: 'admin',
      scopes: expect.arrayContaining(['admin']),
    });
    const asked = { name: 'a', scopes: ['audit:read'] };
    const { body: made } = await admin.post<{ id: string; token: string }>('/tokens', asked);
    expect((await new AdminClient(edge.url, made.token).get('/me')).body).toEqual({
      object: 'admin',
      name: `token:${made.id}`,
      scopes: ['audit:read'],
    });
    expect((await new AdminClient(edge.url, 'nobody').get('/me')).status).toBe(401);
  });
});
