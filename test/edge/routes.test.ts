import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

/** Nothing listens on the port of a server that was closed. */
async function deadUrl(): Promise<string> {
  const backend = await startScriptedBackend();
  await backend.close();
  return backend.url;
}

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }] };

describe('an edge', () => {
  let dead: string;
  let backend: ScriptedBackend;
  let edge: EdgeHarness;
  let client: RawClient;
  beforeAll(async () => {
    dead = await deadUrl();
    backend = await startScriptedBackend();
    edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: dead }, { url: backend.url }]) });
    client = new RawClient(edge.url, await edge.createKey());
  });
  afterAll(async () => {
    await edge.close();
    await backend.close();
  });
  const get = async (path: string): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(edge.url + path, { headers: { authorization: `Bearer ${client.key}` } });
    return { status: response.status, body: await response.json() };
  };
  const postKey = async (
    options: object,
    token = ADMIN_TOKEN,
  ): Promise<{ status: number; body: unknown }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(`${edge.url}/admin/keys`, {
      method: 'POST',
      headers,
      body: JSON.stringify(options),
    });
    return { status: response.status, body: await response.json() };
  };

  it('serves from the backend that lives, and says which ones do not', async () => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'ok');
      await stage.end(1);
    });
    expect((await client.complete(body)).choices[0]?.message.content).toBe('ok');
    const statuses = [{ status: 'unreachable' }, { status: 'ok', models: [SCRIPTED_MODEL.id] }];
    expect(await get('/health')).toMatchObject({ status: 200, body: { status: 'ok', backends: statuses } });
    expect(JSON.stringify(await get('/health'))).not.toContain(dead);
  });

  it('names the models that there are to one who asks for another', async () => {
    const response = await client.post({ ...body, model: 'gpt-9' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      error: {
        code: 'model_not_found',
        param: 'model',
        message: expect.stringContaining(`'${SCRIPTED_MODEL.id}'`),
      },
    });
    expect(await get('/v1/models/gpt-9')).toMatchObject({ status: 404 });
    expect(await get(`/v1/models/${SCRIPTED_MODEL.id}`)).toMatchObject({
      status: 200,
      body: { id: SCRIPTED_MODEL.id, object: 'model', created: SCRIPTED_MODEL.created, owned_by: 'tidar' },
    });
  });

  it('charges nothing to the limit for a request that it refuses itself', async () => {
    const own = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 1 }));
    for (const wrong of [
      { ...body, model: 'gpt-9' },
      { ...body, max_tokens: 0 },
      { ...body, heat: 1 },
    ]) {
      expect((await own.post(wrong)).status).toBeGreaterThanOrEqual(400);
    }
    expect((await own.post(body)).status).toBe(200);
    expect((await own.post(body)).status).toBe(429);
  });

  it('makes a key only for the admin, with the name and limit that were asked for', async () => {
    const made = await postKey({ name: 'Ann', requests_per_minute: 7 });
    expect(made).toMatchObject({
      status: 201,
      body: { object: 'api_key', name: 'Ann', requests_per_minute: 7 },
    });
    const own = new RawClient(edge.url, (made.body as { key: string }).key);
    expect((await own.usage()).key).toMatchObject({ name: 'Ann', requests_per_minute: 7 });
    expect(await postKey({}, client.key)).toMatchObject({
      status: 401,
      body: { error: { code: 'invalid_api_key' } },
    });
    expect(await postKey({ requests_per_minute: 0 })).toMatchObject({ status: 400 });
    expect(await postKey({ budget: 1 })).toMatchObject({ status: 400, body: { error: { param: 'budget' } } });
  });

  it('shows as many last requests as are asked for', async () => {
    expect((await get('/v1/usage?limit=1')).body).toMatchObject({ requests: [{ model: SCRIPTED_MODEL.id }] });
    expect((await get('/v1/usage?limit=0')).body).toMatchObject({ requests: [] });
    for (const query of ['limit=-1', 'limit=101', 'limit=x', 'days=3']) {
      expect(await get(`/v1/usage?${query}`)).toMatchObject({ status: 400 });
    }
  });

  it('goes on asking a backend that is too busy to say how it is', async () => {
    backend.stall();
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect((await client.complete(body)).choices[0]?.message.content).toBe('ok');
  });

  it.each([1, PROTOCOL_VERSION + 1, undefined])(
    'asks nothing of a backend that speaks version %s of the protocol',
    async (version) => {
      const old = await startScriptedBackend();
      old.speak(version);
      const other = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: old.url }]) });
      try {
        const response = await new RawClient(other.url, await other.createKey()).post(body);
        expect(response.status).toBe(503);
        expect(response.headers.get('retry-after')).toBe('2');
        const health: unknown = await (await fetch(`${other.url}/health`)).json();
        expect(health).toMatchObject({ status: 'unavailable', backends: [{ status: 'incompatible' }] });
        expect(old.seen).toEqual([]);
      } finally {
        await other.close();
        await old.close();
      }
    },
  );

  it('says 503, which is worth another try, when its only backend shuts down', async () => {
    backend.drain();
    // What it knows of the backends is at most 2 s old.
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    const response = await client.post(body);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'shutting_down', type: 'server_error' } });
    expect(await get('/health')).toMatchObject({ status: 503, body: { status: 'unavailable', models: [] } });
  });
});

describe('an edge without any backend', () => {
  it('says 503 and does not pretend that the model is unknown', async () => {
    const edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: await deadUrl() }]) });
    try {
      const response = await new RawClient(edge.url, await edge.createKey()).post(body);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ error: { code: 'overloaded' } });
    } finally {
      await edge.close();
    }
  });
});
