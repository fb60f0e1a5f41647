import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { openBrowser, openPage } from './browser.ts';
import type { WatchedPage } from './browser.ts';
import { RawClient } from './openai-http.ts';
import type { ScriptedBackend } from './scripted-backend.ts';
import { startScriptedBackend } from './scripted-backend.ts';
import { ServeProcess } from './serve-process.ts';
import { Site } from './site.ts';

export const QUESTION =
  'A kite costs 12 dollars but today it is 7 dollars cheaper. How many dollars do 7 kites cost today?';

/** The real system with the demo model on two backends, beside them a scripted one, and a real Chromium before it. */
export class PlaygroundSystem {
  readonly edge: ServeProcess;
  readonly sites: readonly Site[];
  readonly scripted: ScriptedBackend;
  readonly browser: Browser;
  readonly client: RawClient;
  readonly #folder: string;

  private constructor(
    parts: Pick<PlaygroundSystem, 'edge' | 'sites' | 'scripted' | 'browser' | 'client'>,
    folder: string,
  ) {
    this.edge = parts.edge;
    this.sites = parts.sites;
    this.scripted = parts.scripted;
    this.browser = parts.browser;
    this.client = parts.client;
    this.#folder = folder;
  }

  static async start(): Promise<PlaygroundSystem> {
    const folder = await mkdtemp(join(tmpdir(), 'tidar-playground-'));
    const grace = ['--client-grace-ms', '200'];
    const sites = await Promise.all(
      ['a', 'b'].map((name) => Site.start(DEMO_MODEL, join(folder, `${name}.sqlite`), grace)),
    );
    const scripted = await startScriptedBackend({ context_length: 8192 });
    const backends = [...sites.map(({ proxy }) => proxy.url), scripted.url].map((url) => ({ url }));
    const edge = await ServeProcess.start({
      // The scripted backend tells long answers at once, and no slice may end before it.
      vars: { BACKENDS: JSON.stringify(backends), LEAVE_GRACE_MS: '500', SLICE_TOKENS: '4096' },
      stateDir: join(folder, 'state'),
    });
    const client = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 10_000 }));
    const browser = await openBrowser();
    return new PlaygroundSystem({ edge, sites, scripted, browser, client }, folder);
  }

  async open(options: BrowserContextOptions = {}): Promise<Visit> {
    return new Visit(await openPage(this.browser, options), this.edge.url, this.client.key);
  }

  /** What the API answers to the question, greedy. */
  async wholeText(changes: object = {}): Promise<string> {
    const messages = [{ role: 'user', content: QUESTION }];
    const asked = { model: 'demo', messages, temperature: 0, max_tokens: 256, ...changes };
    return (await this.client.complete(asked)).choices[0]?.message.content ?? '';
  }

  /** Holds the next answer, of whichever backend has it, after so many bytes; gives that site. */
  async held(numBytes: number): Promise<Site> {
    const site = await Promise.race(
      this.sites.map(async (one) => {
        await one.proxy.holdAfter(numBytes);
        return one;
      }),
    );
    for (const other of this.sites) if (other !== site) other.proxy.release();
    return site;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.edge.stop();
    await Promise.all(this.sites.map((site) => site.close()));
    await this.scripted.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Somebody on the page. */
export class Visit {
  readonly page: Page;
  readonly problems: readonly string[];
  readonly #watched: WatchedPage;
  readonly #url: string;
  readonly #key: string;

  constructor(watched: WatchedPage, url: string, key: string) {
    this.page = watched.page;
    this.problems = watched.problems;
    this.#watched = watched;
    this.#url = url;
    this.#key = key;
  }

  /** Opens the page, and gives it the key as a person would. */
  async enter(): Promise<void> {
    await this.page.goto(this.#url);
    await this.page.getByLabel('API key').fill(this.#key);
    await this.page.getByRole('button', { name: 'Use this key' }).click();
    await this.page.locator('.model').waitFor();
  }

  /** Settings for the scripted model's answer of so many tokens. */
  async askScripted(numTokens: number): Promise<void> {
    await this.panel('Settings');
    await this.page.getByLabel('Model', { exact: true }).selectOption('scripted');
    await this.page.getByLabel('Tokens at most').fill(String(numTokens));
    await this.panel('Passes');
  }

  async send(question = QUESTION): Promise<void> {
    await this.page.getByLabel('Your question').fill(question);
    await this.page.keyboard.press('Enter');
  }

  ended(state = 'done'): Promise<void> {
    return this.page.locator(`.turn[data-state="${state}"]`).last().waitFor({ timeout: 120_000 });
  }

  async ask(question = QUESTION): Promise<void> {
    await this.send(question);
    await this.ended();
  }

  /** What the page asks goes out with one change: the text does not end before so many tokens, one a pass. */
  async askForLongText(numTokens: number): Promise<void> {
    await this.page.route('**/v1/chat/completions', async (route) => {
      const body = route.request().postDataJSON() as object;
      const tidar = { decoder: 'ar', ignore_eos: true, trace: 'full' };
      await route.continue({ postData: JSON.stringify({ ...body, max_tokens: numTokens, tidar }) });
    });
  }

  view(name: string): Promise<void> {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  panel(name: string): Promise<void> {
    return this.page.getByRole('tab', { name }).click();
  }

  get answer(): Locator {
    return this.page.locator('.turn .answer').last();
  }

  /** The text as its reader has it. */
  async answerText(): Promise<string> {
    return (await this.answer.textContent()) ?? '';
  }

  close(): Promise<void> {
    return this.#watched.close();
  }
}

/** What the tests share: one system, and for each test a visit of its own. */
export class Stage {
  #system: PlaygroundSystem | undefined;
  #visit: Visit | undefined;

  get system(): PlaygroundSystem {
    if (this.#system === undefined) throw new Error('the system has not started');
    return this.#system;
  }

  get visit(): Visit {
    if (this.#visit === undefined) throw new Error('nobody visits the page');
    return this.#visit;
  }

  get page(): Page {
    return this.visit.page;
  }

  async start(): Promise<void> {
    this.#system = await PlaygroundSystem.start();
  }

  /** A new visit in place of the one before. */
  async open(options: BrowserContextOptions = {}): Promise<void> {
    await this.close();
    this.#visit = await this.system.open(options);
  }

  async close(): Promise<void> {
    await this.#visit?.close();
    this.#visit = undefined;
  }

  async end(): Promise<void> {
    await this.#system?.close();
  }
}
