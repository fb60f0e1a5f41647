import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UsageReport } from '../../edge/src/ledger/types.ts';
import { AdminClient } from '../support/admin-client.ts';
import { ADMIN_TOKEN } from '../support/edge-harness.ts';
import { EdgeProcess } from '../support/edge-process.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }] };
interface Made {
  id: string;
  key: string;
}
interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

let backend: ScriptedBackend;
let edge: EdgeProcess;
let empty: EdgeProcess;
let folder: string;
beforeAll(async () => {
  backend = await startScriptedBackend();
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], `text ${backend.seen.length}`);
    await stage.end(2);
  });
  folder = await mkdtemp(join(tmpdir(), 'tidar-admin-'));
  const prices = JSON.stringify({ '*': { prompt: 10, cached: 1, completion: 100 } });
  const vars = { BACKENDS: JSON.stringify([{ url: backend.url }]), PRICES: prices };
  edge = await EdgeProcess.start({ vars });
  empty = await EdgeProcess.start({ vars });
});
afterAll(async () => {
  await Promise.all([edge.stop(), empty.stop(), backend.close()]);
  await rm(folder, { recursive: true, force: true });
});

function run(script: string, args: string[], env: Record<string, string> = {}): Promise<Output> {
  const { ADMIN_TOKEN: _, ...inherited } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, 'scripts', script), ...args],
      { env: { ...inherited, ...env } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}
const admin = (args: string[], url = edge.url, token = ADMIN_TOKEN): Promise<Output> =>
  run('admin.ts', args, { TIDAR_EDGE_URL: url, ADMIN_TOKEN: token });
async function adminJson<Answer>(args: string[], url = edge.url, token = ADMIN_TOKEN): Promise<Answer> {
  const { code, stdout, stderr } = await admin(args, url, token);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Answer;
}
const askIdempotently = (url: string, key: string): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'idempotency-key': 'once',
    },
    body: JSON.stringify(body),
  });

describe('npm run admin', () => {
  it('makes, shows, changes, lists, rotates and revokes a key', async () => {
    const settings = ['--name', 'Ann', '--models', 'scripted,other', '--budget-nanos', '5000000'];
    const more = ['--budget-refill', 'monthly', '--metadata', 'team=a,tier=b', '--expires-at', '2999-01-01'];
    const made = await adminJson<Made>(['keys', 'create', ...settings, ...more]);
    const shown = await adminJson<object>(['keys', 'show', made.id]);
    expect(shown).toMatchObject({
      name: 'Ann',
      models: ['scripted', 'other'],
      budget_nanos: 5_000_000,
      budget_refill: 'monthly',
      metadata: { team: 'a', tier: 'b' },
      expires_at: Date.parse('2999-01-01') / 1000,
    });
    const update = ['keys', 'update', made.id, '--models', 'none', '--tokens-per-minute', '9'];
    expect(await adminJson(update)).toMatchObject({ models: null, tokens_per_minute: 9, name: 'Ann' });
    expect(await adminJson(['keys', 'list'])).toMatchObject({ data: [{ id: made.id }] });
    const rotated = await adminJson<Made>(['keys', 'rotate', made.id, '--grace-seconds', '0']);
    expect((await new RawClient(edge.url, made.key).post(body)).status).toBe(401);
    expect((await new RawClient(edge.url, rotated.key).usage()).key.id).toBe(made.id);
    await adminJson(['keys', 'revoke', made.id]);
    expect((await new RawClient(edge.url, rotated.key).post(body)).status).toBe(401);
    const { data } = await adminJson<{ data: { action: string }[] }>(['audit', '--limit', '2']);
    expect(data.map(({ action }) => action)).toEqual(['key.revoke', 'key.rotate']);
  });

  it('tells what runs, one request with its receipt, and who serves', async () => {
    const made = await adminJson<Made>(['keys', 'create', '--name', 'looked at']);
    const requestId = (await new RawClient(edge.url, made.key).post(body)).headers.get('x-request-id') ?? '';
    expect(await adminJson(['requests', '--limit', '5'])).toMatchObject({ data: [], has_more: false });
    const found = { key_id: made.id, receipt: { receipt: { request_id: requestId } } };
    expect(await adminJson(['requests', 'show', requestId, '--key', made.id])).toMatchObject(found);
    expect(await adminJson(['backends'])).toMatchObject({ data: [{ address: backend.url, status: 'ok' }] });
    expect(await adminJson(['usage', '--group', 'model'])).toMatchObject({ object: 'list' });
  });

  it('takes a scoped token for what it may do', async () => {
    const made = await adminJson<{ token: string; id: string }>([
      'tokens',
      'create',
      '--name',
      'reader',
      '--scopes',
      'keys:read,usage:read',
    ]);
    expect(await adminJson(['keys', 'list'], edge.url, made.token)).toMatchObject({ object: 'list' });
    const refused = await admin(['keys', 'create'], edge.url, made.token);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("lacks the scope 'keys:write'"),
    });
    await adminJson(['tokens', 'revoke', made.id]);
    expect(await admin(['keys', 'list'], edge.url, made.token)).toMatchObject({ code: 2 });
  });

  it.each([
    ['an unknown command', ['keys', 'melt'], 'no command "keys melt"'],
    ['an unknown flag', ['keys', 'create', '--colour', 'red'], '--colour'],
    ['a number that is none', ['keys', 'create', '--budget-tokens', 'many'], '--budget-tokens'],
    ['a missing id', ['keys', 'revoke'], 'argument'],
    ['what the edge refuses', ['keys', 'show', 'nobody'], 'no key with this id'],
  ])('says what is wrong with %s, in one line', async (_, args, expected) => {
    const { code, stderr } = await admin(args);
    expect(code).toBe(2);
    expect(stderr).toContain(expected);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('shows every command with --help, and asks for the token in the environment alone', async () => {
    const { stdout, code } = await run('admin.ts', ['--help']);
    expect(code).toBe(0);
    for (const word of ['keys create', 'keys rotate', 'tokens create', 'usage', 'audit', 'export', 'import'])
      expect(stdout).toContain(word);
    expect((await run('admin.ts', ['keys', 'list'])).stderr).toContain('ADMIN_TOKEN is not set');
  });
});

describe('a backup', () => {
  it('read into an empty edge gives the same keys, bills, receipts, log and tokens', async () => {
    const live = await adminJson<Made>(['keys', 'create', '--name', 'live', '--requests-per-minute', '1000']);
    const revoked = await adminJson<Made>(['keys', 'create', '--name', 'gone']);
    const token = await adminJson<{ token: string }>(['tokens', 'create', '--scopes', 'keys:read']);
    const client = new RawClient(edge.url, live.key);
    // More than a page of bills.
    for (let round = 0; round < 15; round += 1)
      await Promise.all(Array.from({ length: 10 }, async () => (await client.post(body)).text()));
    const answer = await (await askIdempotently(edge.url, live.key)).text();
    await adminJson(['keys', 'revoke', revoked.id]);
    await client.lastRequest(({ state }) => state === 'settled');
    const usage = async (url: string): Promise<UsageReport> => new RawClient(url, live.key).usage();

    const path = join(folder, 'backup.ndjson');
    const exported = await adminJson<{ numKeys: number }>(['export', path]);
    expect(await readFile(path, 'utf8')).not.toContain(live.key.split('_')[2]);
    expect(await adminJson(['import', path], empty.url)).toEqual({ numKeys: exported.numKeys, skipped: [] });

    expect(await usage(empty.url)).toEqual(await usage(edge.url));
    expect((await usage(empty.url)).total).toMatchObject({ num_requests: 151, completion_tokens: 302 });
    expect(await (await askIdempotently(empty.url, live.key)).text()).toBe(answer);
    expect((await new RawClient(empty.url, live.key).post(body)).status).toBe(200);
    expect((await new RawClient(empty.url, revoked.key).post(body)).status).toBe(401);
    expect((await new AdminClient(empty.url, token.token).get('/keys')).status).toBe(200);
    for (const path of ['/keys?limit=1000', `/usage?key=${live.id}&to=2999-01-01`]) {
      const [there, here] = [new AdminClient(edge.url), new AdminClient(empty.url)];
      if (path.startsWith('/keys')) expect((await here.get(path)).body).toEqual((await there.get(path)).body);
      else
        await expect
          .poll(async () => (await here.get(path)).body, { timeout: 20_000 })
          .toMatchObject({ data: [{}] });
    }
    const audit = async (url: string): Promise<{ action: string; at_ms: number }[]> =>
      (await new AdminClient(url).get<{ data: { action: string; at_ms: number }[] }>('/audit?limit=1000'))
        .body.data;
    const [before, after] = [await audit(edge.url), await audit(empty.url)];
    expect(after.filter(({ action }) => action !== 'key.import')).toEqual(before);
  });

  it('read once more changes nothing', async () => {
    const path = join(folder, 'again.ndjson');
    const { numKeys } = await adminJson<{ numKeys: number }>(['export', path], empty.url);
    const again = await adminJson<{ numKeys: number; skipped: string[] }>(['import', path], empty.url);
    expect(again.numKeys).toBe(0);
    expect(again.skipped).toHaveLength(numKeys);
  });

  it('that was cut off, or is something else, is refused before anything is written', async () => {
    const path = join(folder, 'whole.ndjson');
    await adminJson(['export', path]);
    const text = await readFile(path, 'utf8');
    const lines = text.trimEnd().split('\n');
    for (const broken of [lines.slice(0, -1).join('\n'), text.slice(0, text.length / 2), '{}', '']) {
      const cut = join(folder, 'cut.ndjson');
      await writeFile(cut, broken);
      expect(await admin(['import', cut], empty.url)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('not a whole backup'),
      });
    }
  });
});

describe('npm run verify-receipt', () => {
  it('proves a receipt and its tokens, and says so when any of it was changed', async () => {
    const { key } = await adminJson<Made>(['keys', 'create']);
    const response = await new RawClient(edge.url, key).post(body);
    await response.text();
    const id = response.headers.get('x-request-id') ?? '';
    const headers = { authorization: `Bearer ${key}` };
    const text = await (await fetch(`${edge.url}/v1/usage/requests/${id}`, { headers })).text();
    const keys = await (await fetch(`${edge.url}/v1/receipt-keys`)).text();
    const write = async (name: string, content: string): Promise<string> => {
      await writeFile(join(folder, name), content);
      return join(folder, name);
    };
    const [receipt, keyFile] = [await write('receipt.json', text), await write('keys.json', keys)];
    const [tokens, others] = [await write('tokens.json', '[[4,5]]'), await write('others.json', '[[4,6]]')];
    const forged = await write(
      'forged.json',
      text.replaceAll('"completion_tokens":2', '"completion_tokens":3'),
    );
    const verify = async (...args: string[]): Promise<number> => (await run('verify-receipt.ts', args)).code;
    expect(await verify(receipt, '--keys', edge.url)).toBe(0);
    expect(await verify(receipt, '--keys', keyFile, '--tokens', tokens)).toBe(0);
    expect(await verify(receipt, '--keys', keyFile, '--tokens', others)).toBe(1);
    expect(await verify(forged, '--keys', keyFile)).toBe(1);
    expect(await verify(receipt, '--keys', await write('none.json', '{"keys":[]}'))).toBe(1);
    expect(await verify(join(folder, 'missing.json'), '--keys', keyFile)).toBe(2);
  });
});
