import { signHeartbeat } from '@tidar/shared/heartbeat.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCOPES } from '../../edge/src/directory/types.ts';
import { AdminClient } from '../support/admin-client.ts';
import { ADMIN_TOKEN, type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { DocumentChecker, type OpenApi, type OpenApiOperation } from '../support/openapi.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

interface Made {
  id: string;
  key: string;
}

let backend: ScriptedBackend;
let edge: EdgeHarness;
let admin: AdminClient;
let document: OpenApi;
let checker: DocumentChecker;
let key: Made;
/** What paths' ids are of. */
const ids: Record<string, string> = {};
beforeAll(async () => {
  backend = await startScriptedBackend();
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4], 'a');
    await stage.end(1);
  });
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
  admin = new AdminClient(edge.url);
  document = (await (await fetch(`${edge.url}/openapi.json`)).json()) as OpenApi;
  checker = await DocumentChecker.of(document);
  key = (await admin.post<Made>('/keys', { name: 'Ann', metadata: { a: 'b' } })).body;
  const response = await ask('POST /v1/responses', key.key, { model: SCRIPTED_MODEL.id, input: 'Hi' });
  ids.request = response.headers.get('x-request-id')!;
  ids.response = ((await response.json()) as { id: string }).id;
  ids.token = (await admin.post<Made>('/tokens', { name: 'Bob', scopes: ['keys:read'] })).body.id;
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});

function ask(route: string, token: string | undefined, body?: object): Promise<Response> {
  const [method = '', path = ''] = route.split(' ');
  return fetch(edge.url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const operations = (): [route: string, operation: OpenApiOperation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, OpenApiOperation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );

const chat = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }] };
/** A body and what the id in its path is, for a call that succeeds. */
const CALLS: Record<string, { id?: () => string; body?: object }> = {
  createChatCompletion: { body: chat },
  createCompletion: { body: { model: SCRIPTED_MODEL.id, prompt: 'Hi' } },
  createResponse: { body: { model: SCRIPTED_MODEL.id, input: 'Hi' } },
  getResponse: { id: () => ids.response! },
  getModel: { id: () => SCRIPTED_MODEL.id },
  getUsageRequest: { id: () => ids.request! },
  createKey: { body: { name: 'Eve' } },
  getKey: { id: () => key.id },
  updateKey: { id: () => key.id, body: { budget_tokens: 1_000_000 } },
  rotateKey: { id: () => key.id, body: { grace_seconds: 600 } },
  getKeyUsage: { id: () => key.id },
  getAdminRequest: { id: () => ids.request! },
  createToken: { body: { name: 'Joe', scopes: ['usage:read'] } },
  revokeToken: { id: () => ids.token! },
  exportKey: { id: () => key.id },
  importDirectory: { body: { version: 0, rows: [] } },
};
/** Pages are held by their own tests; a key that is ended, or read back, is of no use to the other calls. */
const ELSEWHERE = [
  ...['getPlayground', 'getConsole', 'getAsset', 'revokeKey', 'importKey', 'importDirectory'],
  // They need a journal: test/e2e/responses-ends.test.ts.
  ...['cancelResponse', 'deleteResponse'],
];

async function tokenOf({ security }: OpenApiOperation): Promise<string | undefined> {
  const [scheme] = Object.keys(security[0] ?? {});
  if (scheme === 'key') return key.key;
  if (scheme === 'admin') return ADMIN_TOKEN;
  if (scheme === undefined) return undefined;
  const heartbeat = {
    address: backend.url,
    protocol_version: PROTOCOL_VERSION,
    models: [SCRIPTED_MODEL],
    load: { running: 0, queued: 0, max_concurrent: 1 },
    draining: false,
    sent_at_ms: Date.now(),
  };
  return signHeartbeat(heartbeat, TEST_SECRETS.LEASE_SECRETS);
}

describe('every route', () => {
  it('answers what the document says, and no field beside', async () => {
    for (const [route, operation] of operations()) {
      const { operationId, responses } = operation;
      if (ELSEWHERE.includes(operationId)) continue;
      const { id, body } = CALLS[operationId] ?? {};
      expect([route, body !== undefined]).toEqual([route, operation.requestBody !== undefined]);
      const path = route.replace('{id}', () => encodeURIComponent(id!()));
      const response = await ask(path, await tokenOf(operation), body);
      const text = await response.text();
      expect([route, Object.keys(responses)]).toEqual([route, [String(response.status), 'default']]);
      const schema = responses[response.status]?.content?.['application/json']?.schema;
      if (schema === undefined) expect([route, text]).toEqual([route, '']);
      else expect([route, checker.problemsWith(schema, JSON.parse(text))]).toEqual([route, []]);
    }
  });

  it('refuses who has no right to it as an Error: nobody, and of the admin API all but the scope’s holder', async () => {
    for (const [route, { security, 'x-scope': scope, operationId }] of operations()) {
      if (security.length === 0) continue;
      const path = route.replace('{id}', key.id);
      const body = route.startsWith('GET') ? undefined : {};
      const nobody = await ask(path, undefined, body);
      expect([route, nobody.status]).toEqual([route, operationId === 'postHeartbeat' ? 403 : 401]);
      expect(checker.problems('Error', await nobody.json())).toEqual([]);
      if (scope === undefined || scope === 'any') continue;
      const others = SCOPES.filter((name) => name !== scope && name !== 'admin');
      const made = await admin.post<{ token: string }>('/tokens', { name: 'Other', scopes: others });
      const other = await ask(path, made.body.token, body);
      expect([route, other.status]).toEqual([route, 403]);
    }
  });

  it('takes the parameters of its query and no other', async () => {
    for (const [route, operation] of operations()) {
      const { operationId, parameters = [], security } = operation;
      if (security.length === 0 || !route.startsWith('GET')) continue;
      const path = route.replace('{id}', () => encodeURIComponent(CALLS[operationId]!.id!()));
      const token = await tokenOf(operation);
      const query = parameters.filter((parameter) => parameter.in === 'query');
      if (query.length === 0) continue;
      const wrong = await ask(`${path}?heat=1`, token);
      expect([route, wrong.status]).toEqual([route, 400]);
      expect(await wrong.json()).toMatchObject({ error: { param: 'heat' } });
      for (const { name } of query) {
        const response = await ask(`${path}?${name}=~`, token);
        const { error } = (await response.json()) as { error?: { code: string } };
        expect([route, name, error?.code]).not.toEqual([route, name, 'unknown_parameter']);
      }
    }
  });
});
