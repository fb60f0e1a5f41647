import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { axeProblems } from '../support/browser.ts';
import { longAnswer } from '../support/long-answer.ts';
import { PlaygroundSystem, QUESTION } from '../support/playground.ts';
import type { Visit } from '../support/playground.ts';

const MAX_FIRST_LOAD_BYTES = 150_000;

let system: PlaygroundSystem;
let visit: Visit;
let page: Page;
beforeAll(async () => {
  system = await PlaygroundSystem.start();
});
afterAll(() => system?.close());
beforeEach(() => open());
afterEach(() => visit.close());

async function open(options: Parameters<PlaygroundSystem['open']>[0] = {}): Promise<void> {
  visit = await system.open(options);
  ({ page } = visit);
}

describe('a chat', () => {
  it('streams the answer of the API, a shade for each forward pass, and counts how long their runs were', async () => {
    await visit.enter();
    await visit.ask();
    expect(await visit.answerText()).toBe(await system.wholeText());
    const passes = await page.locator('.answer .pass').count();
    expect(await page.locator('.turn-end').textContent()).toContain(`in ${passes} passes`);
    const classes = "[...document.querySelectorAll('.answer .pass')].map(({ className }) => className)";
    const shades = await page.evaluate<string[]>(classes);
    shades.slice(1).forEach((shade, at) => expect(shade).not.toBe(shades[at]));
    const counts = await page.locator('.histogram tbody td:last-child').allTextContents();
    expect(counts.map(Number).reduce((sum, count) => sum + count, 0)).toBe(passes - 1);
    await page.locator('.plot canvas').waitFor();
    expect(visit.problems).toEqual([]);
  });

  it('tells of each token by keyboard alone how probable it was in both modes', async () => {
    await visit.enter();
    await visit.panel('Settings');
    await page.getByLabel('Plan').selectOption('dense');
    await visit.panel('Passes');
    await visit.ask();
    await page.locator('.answer').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const told = page.getByRole('region', { name: 'The token' });
    expect(await told.textContent()).toMatch(
      /pass 2, 1st of its \d+Autoregressive[\d.]+ %Draft \(diffusion\)[\d.]+ %/,
    );
    expect(await page.locator('.token.looked-at').count()).toBe(1);
    expect(await page.getByRole('status').textContent()).toMatch(/Pass 2\. Autoregressive [\d.]+ %/);
  });

  it('that is stopped is stopped: the backend ends too, and what came stays', async () => {
    await visit.enter();
    await visit.askForLongText(900);
    const holding = system.held(30_000);
    await visit.send();
    const site = await holding;
    await page.locator('.answer .pass').nth(9).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await visit.ended('stopped');
    site.proxy.release();
    const { completion_tokens: numTokens } = await system.client.lastRequest(
      ({ state }) => state === 'settled',
    );
    expect(numTokens).toBeGreaterThan(9);
    expect(numTokens).toBeLessThan(900);
    const shown = await visit.answerText();
    const tidar = { decoder: 'ar', ignore_eos: true };
    expect((await system.wholeText({ max_tokens: 900, tidar })).startsWith(shown)).toBe(true);
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(await site.process!.metric('vllm:num_requests_running')).toBe(0);
  });

  it('does not show that a backend died in the middle of it', async () => {
    await visit.enter();
    const holding = system.held(9_000);
    await visit.send();
    const site = await holding;
    await page.locator('.answer .pass').first().waitFor();
    await site.kill();
    await visit.ended();
    expect(await visit.answerText()).toBe(await system.wholeText());
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(visit.problems).toEqual([]);
    await site.start();
  });

  it('of 2,000 tokens draws each pass once and keeps the page small', async () => {
    const { script, text } = longAnswer(2000);
    system.scripted.play(script);
    await visit.enter();
    await visit.askScripted(2000);
    await page.evaluate(`new MutationObserver((records) => {
      globalThis.numAdded = (globalThis.numAdded ?? 0) + records.filter(({ target }) => target.closest?.('.answer'))
        .flatMap(({ addedNodes }) => [...addedNodes]).length;
    }).observe(document.body, { childList: true, subtree: true })`);
    await visit.ask();
    expect(await visit.answerText()).toBe(text);
    // Old passes are not drawn again with new ones: a pass, and at most its ghost, is added once.
    const numPasses = 2000 / 5;
    expect(await page.evaluate<number>('globalThis.numAdded')).toBeLessThan(2.2 * numPasses);
    expect(await page.evaluate<number>("document.querySelectorAll('*').length")).toBeLessThan(
      2000 + numPasses + 500,
    );
    expect(await page.locator('.history li').count()).toBeLessThanOrEqual(24);
  });

  it('can be tried again, and its question taken back and changed', async () => {
    await visit.enter();
    await visit.ask('What is the capital of Kenya?');
    const first = await visit.answerText();
    await page.getByRole('button', { name: 'Retry' }).click();
    await visit.ended();
    expect(await visit.answerText()).toBe(first);
    await page.getByRole('button', { name: /^Edit/ }).click();
    expect(await page.getByLabel('Your question').inputValue()).toBe('What is the capital of Kenya?');
    expect(await page.locator('.turn').count()).toBe(0);
  });

  it('keeps to a JSON schema, and says where one is no JSON yet', async () => {
    await visit.enter();
    await visit.panel('Settings');
    const schema = {
      type: 'object',
      properties: { n: { enum: [1, 2] } },
      required: ['n'],
      additionalProperties: false,
    };
    await page.getByLabel('JSON schema of the answer').fill('{ "type": ');
    await page.getByText('This is not JSON').waitFor();
    await page.getByLabel('JSON schema of the answer').fill(JSON.stringify(schema));
    await visit.ask();
    expect(JSON.parse(await visit.answerText())).toEqual({ n: expect.toBeOneOf([1, 2]) });
  });
});

describe('a race', () => {
  it.each(['one after the other', 'at once'])('%s gives the same text twice', async (order) => {
    await visit.enter();
    await visit.view('Race');
    await page.getByLabel('The question of both').fill(QUESTION);
    await page.getByLabel(order, { exact: false }).check();
    await visit.panel('Settings');
    await page.getByLabel('Temperature').fill('1');
    await page.getByRole('button', { name: 'Race', exact: true }).last().click();
    await page.locator('.verdict').waitFor();
    expect(await page.locator('.verdict').getAttribute('data-same')).toBe('true');
    const [ar, tidar] = await page.locator('.lane .answer').allTextContents();
    expect(ar).toBe(tidar);
    expect(ar!.length).toBeGreaterThan(20);
    const [slow, fast] = await page.locator('.lane-numbers').allTextContents();
    const passes = (text: string): number => Number(/(\d+) passes/.exec(text)?.[1]);
    expect(passes(fast!)).toBeLessThanOrEqual(passes(slow!));
  });
});

describe('how it works', () => {
  it('draws one real pass row by row, forward and back', async () => {
    await visit.enter();
    await visit.panel('Settings');
    await page.getByLabel('Plan').selectOption('dense');
    await page.getByLabel('Draft length').fill('4');
    await visit.ask();
    await visit.view('How it works');
    const rows = page.locator('.diagram .row-line');
    expect(await rows.count()).toBe(1);
    const next = page.getByRole('button', { name: 'Forward' });
    await next.click();
    // Four drafts with the decided token, and for each of them a block of four masks.
    expect(await rows.count()).toBe(4 + 4 * 4);
    expect(await page.locator('.diagram .cell').count()).toBe(0);
    await next.click();
    expect(await page.locator('.diagram .cell').count()).toBeGreaterThan(20);
    await next.click();
    await next.click();
    expect(await next.isDisabled()).toBe(true);
    expect(await page.locator('.row-line.kept').count()).toBeGreaterThan(1);
    await page.getByRole('button', { name: 'Back', exact: true }).click();
    expect(await page.locator('[aria-current="step"]').textContent()).toContain('Verify');
    const title = await page.locator('#how-title').textContent();
    await page.getByRole('button', { name: 'Next pass' }).click();
    expect(await page.locator('#how-title').textContent()).not.toBe(title);
  });
});

describe('a link to share', () => {
  it('brings settings and question, and never the key', async () => {
    await visit.enter();
    await page.getByLabel('Your question').fill(QUESTION);
    await visit.panel('Settings');
    await page.getByLabel('Seed').fill('123');
    await page.evaluate('navigator.clipboard.writeText = async (text) => { document.title = text; }');
    await page.getByRole('button', { name: 'Share' }).click();
    const link = await page.title();
    const told = Buffer.from(new URL(link).hash.slice('#share='.length), 'base64url').toString();
    expect(JSON.parse(told)).toEqual({ settings: { seed: '123' }, questions: [QUESTION] });
    expect(link + told).not.toContain(system.client.key);
    const other = await system.open();
    await other.page.goto(link);
    expect(await other.page.getByLabel('Your question').inputValue()).toBe(QUESTION);
    await other.page.getByRole('tab', { name: 'Settings' }).click();
    expect(await other.page.getByLabel('Seed').inputValue()).toBe('123');
    expect(other.page.url()).not.toContain('share');
    await other.close();
  });
});

describe('what goes wrong', () => {
  it('with the key is said in words, and another can be entered', async () => {
    await page.goto(system.edge.url);
    await page.getByLabel('API key').fill('tidar_nobody');
    await page.getByRole('button', { name: 'Use this key' }).click();
    expect(await page.getByRole('alert').textContent()).toContain('Enter another key');
    expect(await page.evaluate('Object.keys(localStorage).length + Object.keys(sessionStorage).length')).toBe(
      0,
    );
  });

  it('with the server is said in words, with a way to try again', async () => {
    await visit.enter();
    await page.route('**/v1/chat/completions', (route) => route.abort());
    await visit.send();
    await visit.ended('failed');
    expect(await page.getByRole('alert').textContent()).toContain('could not be reached');
    await page.unroute('**/v1/chat/completions');
    await page.getByRole('button', { name: 'Try again' }).click();
    await visit.ended();
    expect(await visit.answerText()).toBe(await system.wholeText());
  });

  it('with a setting names it', async () => {
    await visit.enter();
    await visit.panel('Settings');
    await page.getByLabel('Tokens at most').fill('1024');
    await visit.send();
    await visit.ended('failed');
    expect(await page.getByRole('alert').textContent()).toMatch(/Shorten the question|Tokens at most/);
  });
});

describe('the page', () => {
  it.each(['light', 'dark'] as const)('has nothing that axe finds, in any view (%s)', async (colorScheme) => {
    await visit.close();
    await open({ colorScheme, reducedMotion: 'reduce' });
    await page.goto(system.edge.url);
    expect(await axeProblems(page)).toEqual([]);
    await visit.enter();
    await visit.ask();
    expect(await axeProblems(page)).toEqual([]);
    for (const name of ['Settings', 'Code']) {
      await visit.panel(name);
      expect(await axeProblems(page)).toEqual([]);
    }
    await visit.view('How it works');
    for (let at = 0; at < 4; at += 1) await page.getByRole('button', { name: 'Forward' }).click();
    expect(await axeProblems(page)).toEqual([]);
    await visit.view('Race');
    expect(await axeProblems(page)).toEqual([]);
    expect(visit.problems).toEqual([]);
  });

  it('fits a phone: nothing is wider than the screen', async () => {
    await visit.close();
    await open({
      viewport: { width: 375, height: 720 },
      hasTouch: true,
      isMobile: true,
    });
    await visit.enter();
    await visit.ask();
    await page.locator('.token').first().tap();
    expect(await page.getByRole('region', { name: 'The token' }).textContent()).toContain('pass 1');
    for (const name of ['Chat', 'Race', 'How it works']) {
      await visit.view(name);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375);
    }
  });

  it(`loads at most ${MAX_FIRST_LOAD_BYTES / 1000} kB before it can be used, all of it from its own server`, async () => {
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    let numBytes = 0;
    network.on('Network.loadingFinished', ({ encodedDataLength }) => (numBytes += encodedDataLength));
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.goto(system.edge.url, { waitUntil: 'networkidle' });
    expect(numBytes).toBeGreaterThan(10_000);
    expect(numBytes).toBeLessThan(MAX_FIRST_LOAD_BYTES);
    for (const url of urls) expect(url.startsWith(system.edge.url) || url.startsWith('data:')).toBe(true);
  });
});
