import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import type { KeyView, UsageCounts } from '../../edge/src/ledger/types.ts';
import { CONSOLE_SHOTS } from '../../scripts/screenshots/console.ts';
import { takeShot } from '../../scripts/screenshots/shot.ts';
import { AdminClient } from '../support/admin-client.ts';
import { axeProblems, openBrowser, openPage, type WatchedPage } from '../support/browser.ts';
import { ADMIN_TOKEN } from '../support/edge-harness.ts';
import { RawClient, readChunks } from '../support/openai-http.ts';
import { ServeProcess } from '../support/serve-process.ts';
import { Site } from '../support/site.ts';

const MAX_FIRST_LOAD_BYTES = 150_000;
const ask = {
  model: 'demo',
  temperature: 0,
  messages: [{ role: 'user', content: 'What is the capital of Kenya?' }],
};

/** Of some forty tokens. */
const LONG = {
  messages: [
    {
      role: 'user',
      content: 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
    },
  ],
};

type NewKey = KeyView & { key: string };
interface List<Item> {
  data: Item[];
}
type UsageRow = UsageCounts & { key_id?: string; day?: string; model?: string };

let folder: string;
let edge: ServeProcess;
let site: Site;
let admin: AdminClient;
let browser: Browser;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidar-console-'));
  const prices = JSON.stringify({ '*': { prompt: 150, cached: 75, completion: 600 } });
  edge = await ServeProcess.start({ vars: { PRICES: prices }, stateDir: join(folder, 'state') });
  site = await Site.start(DEMO_MODEL, join(folder, 'journal.sqlite'), ['--edge', edge.url]);
  admin = new AdminClient(edge.url);
  browser = await openBrowser();
  const { key } = await newKey({ name: 'first' });
  // The edge hears of the backend by its heartbeats.
  while ((await answerTo(key)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 300));
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await edge?.stop();
  await rm(folder, { recursive: true, force: true });
});

let watched: WatchedPage;
let page: Page;
afterEach(async () => {
  await watched?.close();
});

/** Opens the console in a tab of its own and signs in as a person would. */
async function open(path = '', token = ADMIN_TOKEN, options: BrowserContextOptions = {}): Promise<void> {
  watched = await openPage(browser, options);
  ({ page } = watched);
  await page.goto(`${edge.url}/console${path}`);
  await page.getByLabel('Admin token').fill(token);
  await button('Sign in').click();
}
const button = (name: string) => page.getByRole('button', { name, exact: true });
const heading = (name: string) => page.getByRole('heading', { name, exact: true, level: 1 });
const table = (name: string) => page.getByRole('table', { name, exact: true });

const newKey = async (settings: object): Promise<NewKey> =>
  (await admin.post<NewKey>('/keys', settings)).body;
const answerTo = (key: string, changes: object = {}): Promise<Response> =>
  new RawClient(edge.url, key).post({ ...ask, ...changes });
const codeOf = async (key: string): Promise<string> =>
  ((await (await answerTo(key)).json()) as { error?: { code: string } }).error?.code ?? 'none';
/** Bills reach the directory a few seconds late. */
const billed = (keyId: string): Promise<void> =>
  expect
    .poll(async () => (await admin.get<List<UsageRow>>(`/usage?key=${keyId}`)).body.data.length, {
      timeout: 20_000,
    })
    .toBe(1);

describe('signing in', () => {
  it('says what is wrong with a token, keeps a right one for the tab alone, and forgets it on request', async () => {
    await open('', 'not-an-admin-token');
    await expect.poll(() => page.getByRole('alert').textContent()).toContain('not valid');
    await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
    await button('Sign in').click();
    await heading('Keys').waitFor();
    await page.reload();
    await heading('Keys').waitFor();
    const other = await page.context().newPage();
    await other.goto(`${edge.url}/console`);
    await other.getByLabel('Admin token').waitFor();
    expect(await other.evaluate('JSON.stringify(localStorage)')).not.toContain(ADMIN_TOKEN);
    await button('Sign out').click();
    await page.getByLabel('Admin token').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).not.toContain(ADMIN_TOKEN);
  });

  it('ends when the token is revoked, in words', async () => {
    const asked = { name: 'short', scopes: ['keys:read'] };
    const { id, token } = (await admin.post<{ id: string; token: string }>('/tokens', asked)).body;
    await open('', token);
    await heading('Keys').waitFor();
    await admin.post(`/tokens/${id}/revoke`);
    await page.getByRole('link', { name: 'first' }).click();
    await expect.poll(() => page.getByRole('alert').textContent()).toContain('revoked or has expired');
  });
});

describe('a key', () => {
  it('that is made here works at once, is shown once, and is refused at once when it is revoked here', async () => {
    await open('', ADMIN_TOKEN, { permissions: ['clipboard-read', 'clipboard-write'] });
    await button('Make a key').click();
    await page.getByLabel('Name', { exact: true }).fill('made here');
    await page.getByLabel('Budget in tokens').fill('100000');
    await button('Make the key').click();
    const secret = (await page.locator('.secret').textContent()) ?? '';
    expect((await answerTo(secret)).status).toBe(200);
    await button('Copy').click();
    await page.getByText('Copied.').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret);
    await page.keyboard.press('Escape');
    expect(await page.locator('.secret').isVisible()).toBe(true);
    await button('I have it').click();
    await page.getByRole('link', { name: 'made here' }).click();
    await heading('made here').waitFor();
    expect(await page.content()).not.toContain(secret.split('_')[2]);
    await button('Revoke').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText(/^revoked /).waitFor();
    expect(await codeOf(secret)).toBe('key_revoked');
    expect(await button('Revoke').isDisabled()).toBe(true);
    expect(watched.problems).toEqual([]);
  });

  it('that is rotated here has another secret, and the old one ends when that was said', async () => {
    const { id, key } = await newKey({ name: 'to rotate' });
    await open(`#/keys/${id}`);
    await button('Rotate the secret').click();
    await page.getByLabel('The old secret ends').selectOption('now');
    await button('Rotate').click();
    const secret = (await page.locator('.secret').textContent()) ?? '';
    expect(secret.split('_')[1]).toBe(id);
    expect(await codeOf(key)).toBe('invalid_api_key');
    expect((await answerTo(secret)).status).toBe(200);
  });

  it('shows its limits, and changes those that are changed here and no others', async () => {
    const { id } = await newKey({ name: 'limited', tokens_per_minute: 5000, budget_nanos: 2_500_000_000 });
    await open(`#/keys/${id}`);
    const field = (label: string) => page.getByLabel(label, { exact: true });
    await expect.poll(() => field('Tokens per minute').inputValue()).toBe('5000');
    expect(await field('Budget in money').inputValue()).toBe('2.5');
    expect(await field('Requests at once').inputValue()).toBe('');
    await field('Requests at once').fill('0.5');
    await button('Save').click();
    await page.getByText('expected a whole number').waitFor();
    await field('Requests at once').fill('3');
    await field('Tokens per minute').fill('');
    await button('Save').click();
    await expect
      .poll(async () => (await admin.get<KeyView>(`/keys/${id}`)).body)
      .toMatchObject({ concurrent_streams: 3, tokens_per_minute: null, budget_nanos: 2_500_000_000 });
    const { data } = (await admin.get<List<{ action: string; detail: object }>>('/audit?limit=1')).body;
    expect(data).toMatchObject([
      { action: 'key.update', detail: { concurrent_streams: 3, tokens_per_minute: null } },
    ]);
    expect(Object.keys(data[0]!.detail)).toHaveLength(2);
    await expect.poll(() => button('Save').isDisabled()).toBe(true);
    expect(watched.problems).toEqual([]);
  });

  it('is found by name or id, and is hidden once it has ended until that is asked for', async () => {
    const { id } = await newKey({ name: 'needle' });
    await admin.post(`/keys/${id}/revoke`);
    await open();
    await table('Keys').waitFor();
    const link = page.getByRole('link', { name: 'needle' });
    expect(await link.count()).toBe(0);
    await page.getByLabel(/^Revoked and expired too/).check();
    await link.waitFor();
    await page.getByLabel('Find').fill(id.slice(0, 8));
    expect(await table('Keys').locator('tbody tr').count()).toBe(1);
    await page.getByLabel('Find').fill('no such key');
    await page.getByText('No key is like that.').waitFor();
  });
});

describe('usage', () => {
  it('shows the numbers of the API, by day, key and model', async () => {
    const { id, key } = await newKey({ name: 'user of much' });
    for (const maxTokens of [3, 5]) expect((await answerTo(key, { max_tokens: maxTokens })).status).toBe(200);
    await billed(id);
    const rows = async (query: string): Promise<UsageRow[]> =>
      (await admin.get<List<UsageRow>>(`/usage?${query}`)).body.data;
    await open('#/usage');
    await page.getByLabel('Apart by').selectOption('model');
    await page.getByText('The same as a table').click();
    await table('Usage by day').getByRole('columnheader', { name: 'demo' }).waitFor();
    for (const [label, measure] of [
      ['Completion tokens', 'completion_tokens'],
      ['Prompt tokens', 'prompt_tokens'],
      ['Requests', 'num_requests'],
    ] as const) {
      await page.getByLabel('Measure').selectOption({ label });
      const shown = (value: number): string => value.toLocaleString('en');
      for (const row of await rows('group=day,model')) {
        const cells = await table('Usage by day')
          .getByRole('row', { name: row.day ?? '' })
          .allInnerTexts();
        expect(cells[0]?.split(/\s+/).slice(1)).toEqual([shown(row[measure]), shown(row[measure])]);
      }
      const [own] = await rows(`group=key&key=${id}`);
      const ofKey = await table('Usage by key').getByRole('row', { name: 'user of much' }).innerText();
      expect(ofKey.split(/\s+/)).toContain(shown(own![measure]));
      const [ofModel] = await rows('group=model');
      expect(await table('Usage by model').getByRole('row', { name: 'demo' }).innerText()).toContain(
        shown(ofModel![measure]),
      );
    }
    await page.getByLabel('Apart by').selectOption('key');
    await table('Usage by day').getByRole('columnheader', { name: 'user of much' }).waitFor();
    await page.getByLabel('Key', { exact: true }).selectOption({ label: 'user of much' });
    await page.getByLabel('Measure').selectOption({ label: 'Completion tokens' });
    await expect.poll(() => page.locator('.figure').textContent()).toBe('8');
    // The chart is drawn of the same rows, on a canvas.
    expect(await page.locator('.days canvas').count()).toBe(1);
    expect(watched.problems).toEqual([]);
  });
});

describe('what runs', () => {
  it('is shown with its key and the tokens that its client has, and goes when it ends', async () => {
    const { key } = await newKey({ name: 'runner' });
    await open('#/requests');
    await page.getByText('Nothing runs now.').waitFor();
    const held = site.proxy.holdAfter(2_500);
    const answer = answerTo(key, { ...LONG, stream: true, tidar: { decoder: 'ar' } }).then(readChunks);
    await held;
    const row = table('Running requests').getByRole('row', { name: 'runner' });
    await row.waitFor();
    const tokens = async (): Promise<number> =>
      Number(/(\d+) of/.exec((await row.innerText()).replaceAll('\n', ' '))?.[1]);
    await expect.poll(tokens, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await row.innerText()).toContain(site.proxy.url);
    site.proxy.release();
    expect((await answer).isDone).toBe(true);
    await page.getByText('Nothing runs now.').waitFor();
    expect(watched.problems).toEqual([]);
  });
});

describe('a backend', () => {
  it('is shown with its health, its model and its slot curve', async () => {
    interface Told {
      load: { max_concurrent: number };
      slot_curve: [number, number][] | null;
      models: { fingerprint: string }[];
    }
    const told = async (): Promise<Told> => (await admin.get<List<Told>>('/backends')).body.data[0]!;
    await expect
      .poll(async () => (await told()).slot_curve?.length ?? 0, { timeout: 15_000 })
      .toBeGreaterThan(0);
    await open('#/backends');
    const card = page.getByRole('region', { name: site.proxy.url });
    await card.getByText('serves').waitFor();
    const { load, models } = await told();
    expect(await card.innerText()).toContain(`of ${load.max_concurrent} run`);
    expect(await card.innerText()).toContain(models[0]!.fingerprint);
    await card.getByText('The same as a table').click();
    const shown = await card.getByRole('table', { name: 'Slot curve' }).locator('tbody tr').allInnerTexts();
    const curve = (await told()).slot_curve!.map(([texts]) => texts);
    expect(shown.map((row) => Number(row.split(/\s+/)[0]))).toEqual(curve);
    expect(watched.problems).toEqual([]);
  });
});

describe('the audit log', () => {
  it('is paged through, every change on one page, and back', async () => {
    const { id } = await newKey({ name: 'busy' });
    for (let turn = 0; turn < 60; turn += 1)
      await admin.ask('PATCH', `/keys/${id}`, { requests_per_minute: turn + 1 });
    await open('#/audit');
    const rows = table('Changes').locator('tbody tr');
    await expect.poll(() => rows.count()).toBe(50);
    const first = await rows.allInnerTexts();
    await button('Older').click();
    await page.getByText('Page 2').waitFor();
    await expect.poll(async () => (await rows.allInnerTexts())[0]).not.toBe(first[0]);
    const second = await rows.allInnerTexts();
    const seen = [...first, ...second].flatMap(
      (text) => /requests_per_minute: (\d+)$/.exec(text.trim())?.[1] ?? [],
    );
    expect(seen.slice(0, 60).map(Number)).toEqual(Array.from({ length: 60 }, (_, turn) => 60 - turn));
    await button('Newer').click();
    await expect.poll(() => rows.allInnerTexts()).toEqual(first);
  });
});

describe('a receipt', () => {
  const lookUp = async (requestId: string): Promise<void> => {
    await page.getByLabel('Request id').fill(requestId);
    await button('Look up').click();
  };
  const requestOf = async (): Promise<string> => {
    const { key } = await newKey({ name: 'billed' });
    return (await answerTo(key)).headers.get('x-request-id') ?? '';
  };

  it('is found by its request, and its signature is checked by the browser', async () => {
    const requestId = await requestOf();
    await open('#/receipts');
    await lookUp(requestId);
    await page.getByText('signature valid').waitFor();
    expect(await page.locator('main').innerText()).toContain('billed');
    expect(watched.problems).toEqual([]);
  });

  it('that says anything else than what was signed is shown as such', async () => {
    const requestId = await requestOf();
    await open('#/receipts');
    await page.route('**/admin/requests/*', async (route) => {
      const response = await route.fetch();
      const found = (await response.json()) as { receipt: { receipt: { cost_nanos: number } } };
      found.receipt.receipt.cost_nanos += 1;
      await route.fulfill({ response, json: found });
    });
    await lookUp(requestId);
    await page.getByText('signature NOT valid').waitFor();
    expect(await page.getByText('signature valid').count()).toBe(0);
  });

  it('is not called valid where the browser cannot check it', async () => {
    const requestId = await requestOf();
    await open('#/receipts');
    await page.evaluate(
      "crypto.subtle.generateKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))",
    );
    await lookUp(requestId);
    await page.getByText('not checked').waitFor();
    expect(await page.locator('main').innerText()).toContain('npm run verify-receipt');
    await lookUp('req_unknown');
    await expect.poll(() => page.getByRole('alert').textContent()).toContain('name its key');
  });
});

describe('a token with few scopes', () => {
  const tokenFor = async (scope: string): Promise<string> =>
    (await admin.post<{ token: string }>('/tokens', { name: scope, scopes: [scope] })).body.token;

  it('sees what it may and is told what it lacks, and the server is not asked for that', async () => {
    const refused: string[] = [];
    await open('#/usage', await tokenFor('usage:read'));
    page.on('response', (response) => void (response.status() === 403 && refused.push(response.url())));
    await page.locator('.figure').waitFor();
    for (const [tab, scope] of [
      ['Keys', 'keys:read'],
      ['Backends', 'fleet:read'],
      ['Audit log', 'audit:read'],
    ] as const) {
      await page.getByRole('link', { name: new RegExp(`^${tab} \\(this token may not see it\\)$`) }).click();
      await page.getByText(`it lacks the scope ${scope}`).waitFor();
      expect(await page.getByRole('table').count()).toBe(0);
    }
    expect(await button('Make a key').count()).toBe(0);
    expect(refused).toEqual([]);
    expect(watched.problems).toEqual([]);
  });

  it('may read keys and not change them', async () => {
    await open('', await tokenFor('keys:read'));
    await page.getByRole('link', { name: 'first' }).click();
    await page.getByText('lacks the scope keys:write').waitFor();
    for (const name of ['Rotate the secret', 'Revoke']) expect(await button(name).isDisabled()).toBe(true);
    expect(await page.getByLabel('Tokens per minute').isDisabled()).toBe(true);
  });
});

describe('the page', () => {
  const VIEWS = ['keys', 'usage', 'requests', 'backends', 'audit', 'receipts'];

  it.each([
    ['light', 1280],
    ['dark', 390],
  ] as const)('has nothing that axe finds, in the %s look and %i pixels wide', async (colorScheme, width) => {
    const { id } = await newKey({ name: 'looked at', budget_tokens: 100 });
    await open('', ADMIN_TOKEN, { colorScheme, viewport: { width, height: 800 } });
    await heading('Keys').waitFor();
    for (const path of [...VIEWS, `keys/${id}`]) {
      await page.goto(`${edge.url}/console#/${path}`);
      await page.locator('.waiting').first().waitFor({ state: 'detached' });
      expect([path, await axeProblems(page)]).toEqual([path, []]);
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect([path, Number(overflow) <= 0]).toEqual([path, true]);
    }
    await page.goto(`${edge.url}/console#/keys`);
    await button('Make a key').click();
    expect(await axeProblems(page)).toEqual([]);
    expect(watched.problems).toEqual([]);
  });

  it('is used by keyboard alone: a dialog takes the focus, Escape closes it and gives the focus back', async () => {
    await open();
    await button('Make a key').focus();
    await page.keyboard.press('Enter');
    const isInDialog = 'document.activeElement.closest("dialog") !== null';
    await expect.poll(() => page.evaluate(isInDialog)).toBe(true);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Make a key');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.getByRole('link', { name: 'Usage' }).focus();
    await page.keyboard.press('Enter');
    const focused = '`${document.activeElement.tagName} ${document.activeElement.textContent}`';
    await expect.poll(() => page.evaluate(focused)).toBe('H1 Usage');
    expect(await page.title()).toBe('Usage · TiDAR console');
  });

  it('is pictured as npm run screenshots does it, without a complaint and in few bytes', async () => {
    const { id, key } = await newKey({ name: 'pictured', budget_tokens: 20_000 });
    await answerTo(key);
    await billed(id);
    const stage = {
      ...{ edge, wire: site.proxy, adminToken: ADMIN_TOKEN, key, keyId: id },
      askTogether: async () => void (await answerTo(key)),
    };
    for (const name of ['console-phone']) {
      const shot = CONSOLE_SHOTS.find((each) => each.name === name)!;
      expect(await takeShot(shot, stage, browser, folder)).toMatch(/ {2}\d+ kB$/);
      expect((await stat(join(folder, `${name}.png`))).size).toBeGreaterThan(10_000);
    }
  });

  it('loads little, and from this server alone', async () => {
    watched = await openPage(browser);
    ({ page } = watched);
    const sizes: Promise<number>[] = [];
    const elsewhere: string[] = [];
    page.on('response', (response) => {
      if (!response.url().startsWith(edge.url)) elsewhere.push(response.url());
      sizes.push(
        response
          .request()
          .sizes()
          .then(({ responseBodySize }) => responseBodySize),
      );
    });
    await page.goto(`${edge.url}/console`, { waitUntil: 'networkidle' });
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(MAX_FIRST_LOAD_BYTES);
    expect(elsewhere.filter((url) => !url.startsWith('data:'))).toEqual([]);
  });
});
