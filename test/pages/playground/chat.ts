import { describe, expect, it } from 'vitest';
import { longAnswer, WRONG_DRAFT } from '../../support/long-answer.ts';
import type { Stage } from '../../support/playground.ts';

/** A conversation, as people have it. */
export function testChat(stage: Stage): void {
  describe('a chat', () => {
    it('streams the answer of the API, a shade for each forward pass, and counts how long their runs were', async () => {
      await stage.visit.enter();
      await stage.visit.ask();
      expect(await stage.visit.answerText()).toBe(await stage.system.wholeText());
      const passes = await stage.page.locator('.answer .pass').count();
      expect(await stage.page.locator('.turn-end').textContent()).toContain(`in ${passes} passes`);
      const classes = "[...document.querySelectorAll('.answer .pass')].map(({ className }) => className)";
      const shades = await stage.page.evaluate<string[]>(classes);
      shades.slice(1).forEach((shade, at) => expect(shade).not.toBe(shades[at]));
      const counts = await stage.page.locator('.histogram tbody td:last-child').allTextContents();
      expect(counts.map(Number).reduce((sum, count) => sum + count, 0)).toBe(passes - 1);
      await stage.page.locator('.plot canvas').waitFor();
      expect(stage.visit.problems).toEqual([]);
    });

    it('tells of each token by keyboard alone how probable it was in both modes', async () => {
      await stage.visit.enter();
      await stage.visit.panel('Settings');
      await stage.page.getByLabel('Plan').selectOption('dense');
      await stage.visit.panel('Passes');
      await stage.visit.ask();
      await stage.page.locator('.answer').focus();
      await stage.page.keyboard.press('ArrowDown');
      await stage.page.keyboard.press('ArrowDown');
      const told = stage.page.getByRole('region', { name: 'The token' });
      expect(await told.textContent()).toMatch(
        /pass 2, 1st of its \d+Autoregressive[\d.]+ %Draft \(diffusion\)[\d.]+ %/,
      );
      expect(await stage.page.locator('.token.looked-at').count()).toBe(1);
      expect(await stage.page.getByRole('status').textContent()).toMatch(/Pass 2\. Autoregressive [\d.]+ %/);
    });

    it('that is stopped is stopped: the backend ends too, and what came stays', async () => {
      await stage.visit.enter();
      await stage.visit.askForLongText(900);
      const holding = stage.system.held(30_000);
      await stage.visit.send();
      const site = await holding;
      await stage.page.locator('.answer .pass').nth(9).waitFor();
      await stage.page.getByRole('button', { name: 'Stop' }).click();
      await stage.visit.ended('stopped');
      site.proxy.release();
      const { completion_tokens: numTokens } = await stage.system.client.lastRequest(
        ({ state }) => state === 'settled',
      );
      expect(numTokens).toBeGreaterThan(9);
      expect(numTokens).toBeLessThan(900);
      const shown = await stage.visit.answerText();
      const tidar = { decoder: 'ar', ignore_eos: true };
      expect((await stage.system.wholeText({ max_tokens: 900, tidar })).startsWith(shown)).toBe(true);
      expect(await stage.page.getByRole('alert').count()).toBe(0);
      expect(await site.process?.metric('vllm:num_requests_running')).toBe(0);
    });

    it('does not show that a backend died in the middle of it', async () => {
      await stage.visit.enter();
      const holding = stage.system.held(9_000);
      await stage.visit.send();
      const site = await holding;
      await stage.page.locator('.answer .pass').first().waitFor();
      await site.kill();
      await stage.visit.ended();
      expect(await stage.visit.answerText()).toBe(await stage.system.wholeText());
      expect(await stage.page.getByRole('alert').count()).toBe(0);
      expect(stage.visit.problems).toEqual([]);
      await site.start();
    });

    it('of 2,000 tokens draws each pass once and keeps the page small', async () => {
      const { script, text } = longAnswer(2000);
      stage.system.scripted.play(script);
      await stage.visit.enter();
      await stage.visit.askScripted(2000);
      await stage.page.evaluate(`new MutationObserver((records) => {
        globalThis.numAdded = (globalThis.numAdded ?? 0) + records.filter(({ target }) => target.closest?.('.answer'))
          .flatMap(({ addedNodes }) => [...addedNodes]).length;
      }).observe(document.body, { childList: true, subtree: true })`);
      await stage.visit.ask();
      expect(await stage.visit.answerText()).toBe(text);
      // Old passes are not drawn again with new ones: a pass, and at most its ghost, is added once.
      const numPasses = 2000 / 5;
      expect(await stage.page.evaluate<number>('globalThis.numAdded')).toBeLessThan(2.2 * numPasses);
      expect(await stage.page.evaluate<number>("document.querySelectorAll('*').length")).toBeLessThan(
        2000 + numPasses + 500,
      );
      expect(await stage.page.locator('.history li').count()).toBeLessThanOrEqual(24);
    });

    it('shows drafts that came to nothing for a moment, and keeps them in the list of passes', async () => {
      const goOn = Promise.withResolvers<void>();
      let numPasses = 0;
      const { script, text } = longAnswer(20, () => (++numPasses === 2 ? goOn.promise : undefined));
      stage.system.scripted.play(script);
      await stage.visit.enter();
      await stage.visit.askScripted(20);
      await stage.visit.send();
      await stage.page.locator('.answer .pass').nth(1).waitFor();
      const ghost = stage.page.locator('.answer del.ghost');
      expect(await ghost.textContent()).toBe(WRONG_DRAFT);
      const line = "getComputedStyle(document.querySelector('del.ghost')).textDecorationLine";
      expect(await stage.page.evaluate(line)).toBe('line-through');
      goOn.resolve();
      await stage.visit.ended();
      expect(await ghost.count()).toBe(0);
      expect(await stage.visit.answerText()).toBe(text);
      expect(await stage.page.locator('.history del').allTextContents()).toEqual(Array(4).fill(WRONG_DRAFT));
      expect(await stage.page.locator('.answer .token.rejected').count()).toBe(4);
    });

    it('can be tried again, and its question taken back and changed', async () => {
      await stage.visit.enter();
      await stage.visit.ask('What is the capital of Kenya?');
      const first = await stage.visit.answerText();
      await stage.page.getByRole('button', { name: 'Retry' }).click();
      await stage.visit.ended();
      expect(await stage.visit.answerText()).toBe(first);
      await stage.page.getByRole('button', { name: /^Edit/ }).click();
      expect(await stage.page.getByLabel('Your question').inputValue()).toBe('What is the capital of Kenya?');
      expect(await stage.page.locator('.turn').count()).toBe(0);
    });

    it('keeps to a JSON schema, and says where one is no JSON yet', async () => {
      await stage.visit.enter();
      await stage.visit.panel('Settings');
      const schema = {
        type: 'object',
        properties: { n: { enum: [1, 2] } },
        required: ['n'],
        additionalProperties: false,
      };
      await stage.page.getByLabel('JSON schema of the answer').fill('{ "type": ');
      await stage.page.getByText('This is not JSON').waitFor();
      await stage.page.getByLabel('JSON schema of the answer').fill(JSON.stringify(schema));
      await stage.visit.ask();
      expect(await stage.visit.answerText()).toMatch(/^\{\s*"n"\s*:\s*[12]\s*\}$/);
    });
  });
}
