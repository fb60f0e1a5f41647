import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from './app.ts';
import { createApiKey } from './auth/api-key.ts';
import type { Bindings } from './env.ts';

const KEY_SECRETS = 'key-secret-for-tests-only-0123456789abc';
const ENV = {
  BACKENDS: '[]',
  LEASE_SECRETS: 'lease-secret-for-tests-only-0123456789',
  KEY_SECRETS,
  ADMIN_TOKEN: 'admin-token-for-tests-only-0123456789',
};

/** An environment in which touching storage fails the request, so that a test shows that nothing does. */
const withoutStorage = (change: object = {}): Bindings =>
  ({
    ...ENV,
    ...change,
    get LEDGER(): never {
      throw new Error('storage was touched');
    },
  }) as unknown as Bindings;

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

async function ask(path: string, init: RequestInit = {}, env: Bindings = withoutStorage()) {
  const response = await createApp().request(path, init, env);
  return { status: response.status, headers: response.headers, body: await response.json<ErrorBody>() };
}

async function post(body: unknown, headers: Record<string, string> = {}) {
  const { text } = await createApiKey([KEY_SECRETS]);
  const all = { authorization: `Bearer ${text}`, 'content-type': 'application/json', ...headers };
  const sent = body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body);
  return ask('/v1/chat/completions', { method: 'POST', headers: all, body: sent as BodyInit });
}

beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => undefined);
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
});

describe('refusals that need no storage', () => {
  it.each([
    ['POST', '/v1/chat/completions'],
    ['GET', '/v1/models'],
    ['GET', '/v1/usage'],
    ['POST', '/admin/keys'],
  ])('%s %s says 401 without a key, and 401 with a made-up one', async (method, path) => {
    const missing = await ask(path, { method });
    expect(missing).toMatchObject({ status: 401, body: { error: { code: 'missing_api_key' } } });
    const forged = `tdr_${'0'.repeat(16)}_${'0'.repeat(32)}_${'0'.repeat(16)}`;
    const wrong = await ask(path, { method, headers: { authorization: `Bearer ${forged}` } });
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key' } } });
  });

  it('says 404 for an unknown path and 405 for a wrong method, with the right one', async () => {
    expect(await ask('/v1/nothing')).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    const wrong = await ask('/v1/chat/completions');
    expect(wrong).toMatchObject({ status: 405, body: { error: { code: 'method_not_allowed' } } });
    expect(wrong.headers.get('allow')).toBe('POST');
    expect((await ask('/v1/models', { method: 'DELETE' })).headers.get('allow')).toBe('GET');
  });

  it('gives every answer a request id, and never the same', async () => {
    const answers = await Promise.all(['/v1/models', '/nothing', '/admin/keys'].map((path) => ask(path)));
    const ids = answers.map(({ headers }) => headers.get('x-request-id'));
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/);
  });

  it("has OpenAI's error format and no other field", async () => {
    const { body } = await post({ model: 'm', messages: [{ role: 'user', content: 'a' }], heat: 1 });
    expect(body).toEqual({
      error: {
        message: "Unknown parameter: 'heat'.",
        type: 'invalid_request_error',
        param: 'heat',
        code: 'unknown_parameter',
      },
    });
  });

  it.each([
    ['JSON that breaks off', '{"model":', 400, 'invalid_json'],
    ['no body', '', 400, 'invalid_json'],
    ['a list', '[]', 400, 'invalid_request'],
    ['bytes that are not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400, 'invalid_json'],
    ['a body of more than 1 MiB', 'x'.repeat(1024 * 1024 + 1), 413, 'payload_too_large'],
  ])('says what is wrong with %s', async (_, body, status, code) => {
    expect(await post(body)).toMatchObject({ status, body: { error: { code } } });
  });

  it('counts the bytes that come and not those that a header promises', async () => {
    const chunk = new Uint8Array(300_000);
    let numSent = 0;
    const body = new ReadableStream({
      pull: (controller) => (numSent++ < 10 ? controller.enqueue(chunk) : controller.close()),
    });
    const { text } = await createApiKey([KEY_SECRETS]);
    const headers = { authorization: `Bearer ${text}`, 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body, duplex: 'half' };
    expect(await ask('/v1/chat/completions', init)).toMatchObject({ status: 413 });
    expect(numSent).toBeLessThan(8);
  });

  it('says 415 for a form, which curl -d sends by default', async () => {
    const answer = await post('{}', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(answer).toMatchObject({ status: 415, body: { error: { code: 'unsupported_media_type' } } });
    expect(answer.body.error.message).toContain('Content-Type: application/json');
  });

  it.each([
    ['compressed', { 'content-encoding': 'gzip' }],
    ['in another character set', { 'content-type': 'application/json; charset=utf-16' }],
    ['of a type that only looks like JSON', { 'content-type': 'application/jsonp' }],
  ])('says 415 for a body %s', async (_, headers) => {
    const answer = await post('{}', headers);
    expect(answer).toMatchObject({ status: 415, body: { error: { code: 'unsupported_media_type' } } });
  });

  it('waits for the rest of a body no longer than its limit', async () => {
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([0x7b])) });
    const { text } = await createApiKey([KEY_SECRETS]);
    const headers = { authorization: `Bearer ${text}`, 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body, duplex: 'half' };
    const answer = await ask('/v1/chat/completions', init, withoutStorage({ BODY_TIMEOUT_MS: '30' }));
    expect(answer).toMatchObject({ status: 408, body: { error: { code: 'request_timeout' } } });
    expect(answer.body.error.message).toContain('0.03 s');
  });

  it('reads no more headers than their limit', async () => {
    const answer = await ask('/v1/models', { headers: { 'x-long': 'x'.repeat(100_000) } });
    expect(answer).toMatchObject({ status: 413, body: { error: { code: 'payload_too_large' } } });
  });

  it('cuts what a client made too long to be read', async () => {
    const { body } = await post({ model: 'm', messages: [], ['x'.repeat(100_000)]: 1 });
    expect(body.error.message.length).toBeLessThan(600);
    expect(body.error.param?.length).toBeLessThan(300);
  });

  it('shows nothing of what went wrong inside', async () => {
    const { text } = await createApiKey([KEY_SECRETS]);
    const answer = await ask('/v1/usage', { headers: { authorization: `Bearer ${text}` } });
    expect(answer).toMatchObject({
      status: 500,
      body: { error: { code: 'internal', type: 'server_error' } },
    });
    expect(JSON.stringify(answer.body)).not.toContain('storage was touched');
    expect(console.error).toHaveBeenCalledWith(expect.stringContaining('storage was touched'));
  });
});

describe('the log', () => {
  it('has no key and no admin token in it, wherever a client put them', async () => {
    const [key, token] = await Promise.all([createApiKey([KEY_SECRETS]), createApiKey([KEY_SECRETS], 'tda')]);
    for (const { text } of [key, token]) {
      for (const place of [`/v1/${text}`, `/v1/models/${text}/x`, `/admin/keys/${text}?key=${text}`]) {
        await ask(place, { headers: { authorization: `Bearer ${text}` } });
        await ask(place, { method: 'DELETE', headers: { authorization: text } });
      }
      await post({ model: text, messages: [{ role: text, content: text }], [text]: 1 });
    }
    const calls: unknown[][] = [console.log, console.error].flatMap((log) => vi.mocked(log).mock.calls);
    const lines = calls.flat().map(String).join('\n');
    expect(lines).toContain('request_failed');
    for (const { text } of [key, token]) expect(lines).not.toContain(text.split('_')[2]);
  });
});

describe('a page of another origin', () => {
  const origin = 'https://app.example.com';
  const allowed = withoutStorage({ CORS_ORIGINS: `https://other.example.com, ${origin}` });
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, x-a',
  };
  const send = async (path: string, from: string, env: Bindings, headers: Record<string, string> = {}) => {
    const method = 'access-control-request-method' in headers ? 'OPTIONS' : 'GET';
    return createApp().request(path, { method, headers: { origin: from, ...headers } }, env);
  };

  it('that is configured may call the API, and read what it needs of an answer', async () => {
    const asked = await send('/v1/chat/completions', origin, allowed, preflight);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
    expect(asked.headers.get('access-control-allow-methods')).toBe('GET, POST, DELETE');
    expect(asked.headers.get('access-control-allow-headers')).toBe('authorization, x-a');
    const answer = await send('/v1/models', origin, allowed);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
    expect(answer.headers.get('vary')).toContain('origin');
    const open = await send('/v1/models', 'https://any.test', withoutStorage({ CORS_ORIGINS: '*' }));
    expect(open.headers.get('access-control-allow-origin')).toBe('*');
  });

  it.each([
    ['no origin is', withoutStorage(), origin],
    ['another is', allowed, 'https://evil.test'],
    ['it only begins like one that is', allowed, `${origin}.evil.test`],
    ['it has another port than one that is', allowed, `${origin}:8443`],
    ['it is none', allowed, 'null'],
  ])('may not where %s configured, and is told so', async (_, env, from) => {
    const asked = await send('/v1/models', from, env, preflight);
    expect(asked.status).toBe(403);
    expect(await asked.json()).toMatchObject({ error: { message: expect.stringContaining('CORS_ORIGINS') } });
    for (const answer of [asked, await send('/v1/models', from, env)])
      expect(answer.headers.has('access-control-allow-origin')).toBe(false);
  });

  it('may never call the admin API, nor use what a browser keeps', async () => {
    for (const path of ['/admin/keys', '/internal/heartbeat', '/console']) {
      const asked = await send(path, origin, withoutStorage({ CORS_ORIGINS: '*' }), preflight);
      expect(asked.status).toBe(405);
      expect(asked.headers.has('access-control-allow-origin')).toBe(false);
    }
    const answer = await send('/v1/models', origin, allowed);
    expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
  });
});

describe('every answer', () => {
  it('says that it is data: not to be shown, run, framed or kept', async () => {
    for (const path of ['/v1/models', '/nowhere', '/openapi.json', '/admin/keys']) {
      const { headers } = await ask(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
  });
});

describe('environment', () => {
  it.each([
    ['a missing secret', { LEASE_SECRETS: undefined }],
    ['a short secret', { KEY_SECRETS: 'short' }],
    ['a short admin token', { ADMIN_TOKEN: 'admin' }],
    ['one secret for two purposes', { LEASE_SECRETS: KEY_SECRETS }],
    ['prices that are not whole', { PRICES: '{"m":{"prompt":0.5,"cached":0,"completion":1}}' }],
    ['backends that are not JSON', { BACKENDS: 'http://127.0.0.1' }],
    ['a backend that is no address', { BACKENDS: '[{"url":"somewhere"}]' }],
    ['a time-out that is no number', { GAP_TIMEOUT_MS: 'soon' }],
    ['an origin that is none', { CORS_ORIGINS: 'https://app.example.com/' }],
  ])('with %s refuses every request and tells only its log why', async (_, change) => {
    const [name = ''] = Object.keys(change);
    const answer = await ask('/v1/models', {}, withoutStorage(change));
    expect(answer).toMatchObject({ status: 500, body: { error: { code: 'internal' } } });
    expect(answer.body.error.message).toContain('misconfigured');
    expect(JSON.stringify(answer.body)).not.toContain(name);
    expect(console.error).toHaveBeenCalledWith(
      expect.stringMatching(`"bad_environment","problems":"${name}\\b`),
    );
  });
});
