import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { ServeProcess } from '../support/serve-process.ts';

let harness: EdgeHarness;
let served: ServeProcess;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidar-pages-'));
  harness = await startEdgeHarness();
  served = await ServeProcess.start({ stateDir: folder });
});
afterAll(async () => {
  await harness?.close();
  await served?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  /** As it was before any compression: wrangler's own proxy compresses for whoever asks. */
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = await request(url, { headers });
  const sent = Buffer.from(await answer.body.arrayBuffer());
  const body = answer.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
  return { status: answer.statusCode, headers: answer.headers, body };
}

const zipped = { 'accept-encoding': 'gzip' };

const PAGES = ['/', '/console'];

describe.each([
  ['wrangler', () => harness.url],
  ['workerd alone', () => served.url],
])('a page under %s', (_, url) => {
  it.each(PAGES)(
    'is let load nothing from elsewhere, and to run nothing that stands in it: %s',
    async (page) => {
      const { status, headers } = await get(url() + page);
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('text/html; charset=utf-8');
      const policy = String(headers['content-security-policy']).split('; ');
      expect(policy).toEqual(
        expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'"]),
      );
      expect(policy.join()).not.toMatch(/unsafe|https?:|\*/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
    },
  );

  it.each(PAGES)(
    'has no script or style inside, and names files that are there, compressed for who takes it: %s',
    async (page) => {
      const html = (await get(url() + page)).body.toString();
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script>|javascript:/i);
      const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
      expect(files.length).toBeGreaterThanOrEqual(3);
      for (const path of files) {
        const plain = await get(url() + path);
        const small = await get(url() + path, zipped);
        expect(plain.headers['content-type']).toMatch(/^text\/(javascript|css); charset=utf-8$/);
        expect(plain.headers['cache-control']).toContain('immutable');
        expect(small.headers['content-encoding']).toBe('gzip');
        expect(small.headers).toMatchObject({ 'cache-control': plain.headers['cache-control'] });
        expect(small.body.equals(plain.body)).toBe(true);
      }
    },
  );

  it.each([
    '/assets/nothing.js',
    '/assets/..%2fplayground.html',
    '/assets/%2e%2e/index.js',
    '/playground.html',
  ])('is no way to another file: %s', async (path) => {
    const { status, body } = await get(url() + path);
    expect(status).toBe(404);
    expect(JSON.parse(body.toString())).toMatchObject({ error: { code: 'not_found' } });
  });
});

it('is sent as it is to who takes nothing compressed', async () => {
  expect((await get(`${served.url}/`)).headers['content-encoding']).toBeUndefined();
  expect((await get(`${served.url}/`, { 'accept-encoding': 'br, gzip' })).headers['content-encoding']).toBe(
    'gzip',
  );
});

it('is the same file under both', async () => {
  const [one, other] = await Promise.all([get(`${harness.url}/`), get(`${served.url}/`)]);
  expect(one.body.equals(other.body)).toBe(true);
  for (const name of ['content-security-policy', 'cache-control', 'permissions-policy']) {
    expect(one.headers[name]).toBe(other.headers[name]);
  }
});
