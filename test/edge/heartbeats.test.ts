import { HEARTBEAT_PATH, type Heartbeat, signHeartbeat } from '@tidar/shared/heartbeat.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveBackends, MIGRATIONS, receiveHeartbeat } from '../../edge/src/fleet/heartbeats.ts';
import { migrate } from '../../edge/src/migrate.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { openNodeSql } from '../support/node-sql.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';
import { makeTinyChatModel } from '../support/tiny-chat-model.ts';

const SECRET = TEST_SECRETS.LEASE_SECRETS;
const heartbeatOf = (address: string, changes: Partial<Heartbeat> = {}): Heartbeat => ({
  address,
  protocol_version: PROTOCOL_VERSION,
  models: [SCRIPTED_MODEL],
  load: { running: 0, queued: 0, max_concurrent: 4 },
  draining: false,
  sent_at_ms: Date.now(),
  ...changes,
});

let edge: EdgeHarness;
let backend: ScriptedBackend;
beforeAll(async () => {
  edge = await startEdgeHarness();
  backend = await startScriptedBackend();
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4], 'ok');
    await stage.end(1);
  });
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});

const beat = (token: string): Promise<Response> =>
  fetch(edge.url + HEARTBEAT_PATH, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
const health = async (): Promise<unknown> => (await fetch(`${edge.url}/health`)).json();
/** Past what an isolate keeps of the fleet. */
const forget = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_100));

describe('a heartbeat', () => {
  it('makes a backend known that no list names, and takes it out again when it drains', async () => {
    expect(await health()).toMatchObject({ status: 'unavailable', backends: [] });
    const sent = heartbeatOf(backend.url);
    expect((await beat(await signHeartbeat(sent, SECRET))).status).toBe(204);
    await forget();
    expect(await health()).toMatchObject({ status: 'ok', models: [SCRIPTED_MODEL.id] });
    const client = new RawClient(edge.url, await edge.createKey());
    const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4 };
    expect((await client.complete(body)).choices[0]?.message.content).toBe('ok');
    const draining = heartbeatOf(backend.url, { draining: true, sent_at_ms: sent.sent_at_ms + 1 });
    expect((await beat(await signHeartbeat(draining, SECRET))).status).toBe(204);
    await forget();
    expect((await client.post(body)).status).toBe(503);
    expect(await health()).toMatchObject({ status: 'unavailable', backends: [{ status: 'draining' }] });
  });

  it('is refused when it is replayed or overtaken', async () => {
    const sent = heartbeatOf('http://replayed');
    const token = await signHeartbeat(sent, SECRET);
    expect((await beat(token)).status).toBe(204);
    expect((await beat(token)).status).toBe(409);
    const older = heartbeatOf('http://replayed', { sent_at_ms: sent.sent_at_ms - 1 });
    expect((await beat(await signHeartbeat(older, SECRET))).status).toBe(409);
  });

  it('is refused when nobody who may has signed it, when it is altered, and when it is old', async () => {
    const sent = heartbeatOf('http://evil');
    const token = await signHeartbeat(sent, SECRET);
    const stale = heartbeatOf('http://evil', { sent_at_ms: Date.now() - 60_000 });
    const [version, payload, mac] = token.split('.');
    const other = (await signHeartbeat(heartbeatOf('http://other'), SECRET)).split('.')[1];
    const tokens = [
      await signHeartbeat(sent, 'x'.repeat(32)),
      await signHeartbeat(stale, SECRET),
      `${version}.${other}.${mac}`,
      `${version}.${payload}`,
      'hb1',
    ];
    for (const bad of tokens) expect((await beat(bad)).status).toBe(403);
    expect((await fetch(edge.url + HEARTBEAT_PATH, { method: 'POST' })).status).toBe(403);
    expect(JSON.stringify(await health())).not.toContain('evil');
  });
});

describe('the fleet', () => {
  it('counts a backend as there for four heartbeats, and knows what it heard long after', () => {
    const sql = openNodeSql();
    migrate(sql, MIGRATIONS);
    const sent = heartbeatOf('http://one', { sent_at_ms: 1_000_000 });
    expect(receiveHeartbeat(sql, sent, 1_000_500)).toBe(true);
    expect(liveBackends(sql, 1_008_500)).toMatchObject([{ address: 'http://one' }]);
    expect(liveBackends(sql, 1_008_501)).toEqual([]);
    // Within the tolerance of the date it could be replayed for so long.
    expect(receiveHeartbeat(sql, sent, 1_060_000)).toBe(false);
    expect(liveBackends(sql, 1_060_000)).toEqual([]);
  });
});

describe('a real backend that is told of the edge', () => {
  it('is in no list and serves', async () => {
    const model = await makeTinyChatModel();
    const options = { modelPath: model.path, leaseSecrets: SECRET, args: ['--edge', edge.url] };
    const real = await BackendProcess.start(options);
    try {
      const client = new RawClient(edge.url, await edge.createKey());
      const messages = [{ role: 'user', content: 'hello, 12+30=?' }];
      const ask = { model: 'tiny-chat', messages, max_tokens: 8, tidar: { ignore_eos: true } };
      await expect
        .poll(async () => (await client.post(ask)).status, { timeout: 30_000, interval: 500 })
        .toBe(200);
      expect((await client.complete(ask)).usage.completion_tokens).toBe(8);
    } finally {
      await real.stop();
      await model.remove();
    }
  });
});
