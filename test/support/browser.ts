import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import chromium from '@sparticuz/chromium';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { chromium as driver } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A real Chromium, which comes with the packages. */
export async function openBrowser(): Promise<Browser> {
  // One process for all would let a page's crash end the browser.
  const args = chromium.args.filter((arg) => !/^--(single-process|no-zygote)$/.test(arg));
  return driver.launch({ executablePath: await chromium.executablePath(), args, headless: true });
}

export interface WatchedPage {
  readonly page: Page;
  /** What the console said in red, exceptions, and what the page's policy kept off. */
  readonly problems: string[];
  close(): Promise<void>;
}

/** A page of its own, with nothing stored. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({
    locale: 'en-US',
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  await context.addInitScript(AXE);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => void problems.push(error.message));
  return { page, problems, close: () => context.close() };
}

interface AxeResult {
  violations: { id: string; help: string; nodes: { html: string }[] }[];
}

/** What axe finds on the page as it is, one line each; by all of its rules, or by these alone. */
export async function axeProblems(page: Page, rules?: readonly string[]): Promise<string[]> {
  const options = { resultTypes: ['violations'], ...(rules === undefined ? {} : { runOnly: rules }) };
  // What fades in or out has the contrast of a moment.
  await page.evaluate('Promise.allSettled(document.getAnimations().map(({ finished }) => finished))');
  const { violations } = await page.evaluate<AxeResult>(`axe.run(${JSON.stringify(options)})`);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 200)}`),
  );
}
