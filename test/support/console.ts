import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import type { KeyView, UsageCounts } from '../../edge/src/ledger/types.ts';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { AdminClient } from './admin-client.ts';
import { openBrowser, openPage, type WatchedPage } from './browser.ts';
import { ADMIN_TOKEN } from './edge-harness.ts';
import { RawClient } from './openai-http.ts';
import { ServeProcess } from './serve-process.ts';
import { Site } from './site.ts';

const ASK = {
  model: 'demo',
  temperature: 0,
  messages: [{ role: 'user', content: 'What is the capital of Kenya?' }],
};

export type NewKey = KeyView & { key: string };
export interface List<Item> {
  data: Item[];
}
export type UsageRow = UsageCounts & { key_id?: string; day?: string; model?: string };

interface System {
  readonly folder: string;
  readonly edge: ServeProcess;
  /** The demo model, which says by its heartbeats that it is there. */
  readonly site: Site;
  readonly browser: Browser;
}

/** The console in a real Chromium, before a real edge and a real backend. */
export class ConsoleDesk {
  #system: System | undefined;
  #watched: WatchedPage | undefined;

  async start(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'tidar-console-'));
    const prices = JSON.stringify({ '*': { prompt: 150, cached: 75, completion: 600 } });
    const edge = await ServeProcess.start({ vars: { PRICES: prices }, stateDir: join(folder, 'state') });
    const site = await Site.start(DEMO_MODEL, join(folder, 'journal.sqlite'), ['--edge', edge.url]);
    this.#system = { folder, edge, site, browser: await openBrowser() };
    const { key } = await this.newKey({ name: 'first' });
    // The edge hears of the backend by its heartbeats.
    while ((await this.answerTo(key)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 300));
  }

  async end(): Promise<void> {
    if (this.#system === undefined) return;
    const { browser, site, edge, folder } = this.#system;
    await browser.close();
    await site.close();
    await edge.stop();
    await rm(folder, { recursive: true, force: true });
  }

  get edge(): ServeProcess {
    return this.#started.edge;
  }

  get site(): Site {
    return this.#started.site;
  }

  get browser(): Browser {
    return this.#started.browser;
  }

  get folder(): string {
    return this.#started.folder;
  }

  get admin(): AdminClient {
    return new AdminClient(this.edge.url);
  }

  get page(): Page {
    if (this.#watched === undefined) throw new Error('no page is open');
    return this.#watched.page;
  }

  /** What the page complained of. */
  get problems(): readonly string[] {
    return this.#watched?.problems ?? [];
  }

  /** A tab of its own, with nothing in it. */
  async openTab(options: BrowserContextOptions = {}): Promise<void> {
    this.#watched = await openPage(this.browser, options);
  }

  /** Opens the console in a tab of its own and signs in as a person would. */
  async open(path = '', token = ADMIN_TOKEN, options: BrowserContextOptions = {}): Promise<void> {
    await this.openTab(options);
    await this.page.goto(`${this.edge.url}/console${path}`);
    await this.page.getByLabel('Admin token').fill(token);
    await this.button('Sign in').click();
  }

  async close(): Promise<void> {
    await this.#watched?.close();
    this.#watched = undefined;
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  heading(name: string): Locator {
    return this.page.getByRole('heading', { name, exact: true, level: 1 });
  }

  table(name: string): Locator {
    return this.page.getByRole('table', { name, exact: true });
  }

  async newKey(settings: object): Promise<NewKey> {
    return (await this.admin.post<NewKey>('/keys', settings)).body;
  }

  answerTo(key: string, changes: object = {}): Promise<Response> {
    return new RawClient(this.edge.url, key).post({ ...ASK, ...changes });
  }

  /** Why an answer is refused; "none" if it is not. */
  async codeOf(key: string): Promise<string> {
    const { error } = (await (await this.answerTo(key)).json()) as { error?: { code: string } };
    return error?.code ?? 'none';
  }

  /** Bills reach the directory a few seconds late. */
  async billed(keyId: string): Promise<void> {
    const rows = async (): Promise<number> =>
      (await this.admin.get<List<UsageRow>>(`/usage?key=${keyId}`)).body.data.length;
    while ((await rows()) === 0) await new Promise((resolve) => setTimeout(resolve, 200));
  }

  get #started(): System {
    if (this.#system === undefined) throw new Error('the system is not started');
    return this.#system;
  }
}
