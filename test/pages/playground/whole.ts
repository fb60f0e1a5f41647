import { describe, expect, it } from 'vitest';
import { axeProblems } from '../../support/browser.ts';
import type { Stage } from '../../support/playground.ts';

const MAX_FIRST_LOAD_BYTES = 150_000;

/** The page as a whole: its errors, its look, its weight. */
export function testWhole(stage: Stage): void {
  describe('what goes wrong', () => {
    it('with the key is said in words, and another can be entered', async () => {
      await stage.page.goto(stage.system.edge.url);
      await stage.page.getByLabel('API key').fill('tidar_nobody');
      await stage.page.getByRole('button', { name: 'Use this key' }).click();
      expect(await stage.page.getByRole('alert').textContent()).toContain('Enter another key');
      expect(
        await stage.page.evaluate('Object.keys(localStorage).length + Object.keys(sessionStorage).length'),
      ).toBe(0);
    });

    it('with the server is said in words, with a way to try again', async () => {
      await stage.visit.enter();
      await stage.page.route('**/v1/chat/completions', (route) => route.abort());
      await stage.visit.send();
      await stage.visit.ended('failed');
      expect(await stage.page.getByRole('alert').textContent()).toContain('could not be reached');
      await stage.page.unroute('**/v1/chat/completions');
      await stage.page.getByRole('button', { name: 'Try again' }).click();
      await stage.visit.ended();
      expect(await stage.visit.answerText()).toBe(await stage.system.wholeText());
    });

    it('with a setting names it', async () => {
      await stage.visit.enter();
      await stage.visit.panel('Settings');
      await stage.page.getByLabel('Tokens at most').fill('1024');
      await stage.visit.send();
      await stage.visit.ended('failed');
      expect(await stage.page.getByRole('alert').textContent()).toMatch(
        /Shorten the question|Tokens at most/,
      );
    });
  });

  describe('the page', () => {
    it('has nothing that axe finds, in any view, and enough contrast in the dark too', async () => {
      await stage.open({ reducedMotion: 'reduce' });
      const { page, visit } = stage;
      const look = async (): Promise<void> => {
        await page.emulateMedia({ colorScheme: 'light' });
        expect(await axeProblems(page)).toEqual([]);
        await page.emulateMedia({ colorScheme: 'dark' });
        expect(await axeProblems(page, ['color-contrast'])).toEqual([]);
      };
      await page.goto(stage.system.edge.url);
      await look();
      await visit.enter();
      await visit.ask();
      await page.locator('.token').nth(5).hover();
      await look();
      await visit.panel('Settings');
      await look();
      await visit.panel('Code');
      await visit.view('How it works');
      for (let at = 0; at < 4; at += 1) await page.getByRole('button', { name: 'Forward' }).click();
      await look();
      await visit.view('Race');
      await look();
      expect(visit.problems).toEqual([]);
    });

    it('fits a phone: nothing is wider than the screen', async () => {
      await stage.open({
        viewport: { width: 375, height: 720 },
        hasTouch: true,
        isMobile: true,
      });
      await stage.visit.enter();
      await stage.visit.ask();
      await stage.page.locator('.token').first().tap();
      expect(await stage.page.getByRole('region', { name: 'The token' }).textContent()).toContain('pass 1');
      for (const name of ['Chat', 'Race', 'How it works']) {
        await stage.visit.view(name);
        expect(await stage.page.evaluate('document.documentElement.scrollWidth')).toBe(375);
      }
    });

    it(`loads at most ${MAX_FIRST_LOAD_BYTES / 1000} kB before it can be used, all of it from its own server`, async () => {
      const network = await stage.page.context().newCDPSession(stage.page);
      await network.send('Network.enable');
      let numBytes = 0;
      network.on('Network.loadingFinished', ({ encodedDataLength }) => (numBytes += encodedDataLength));
      const urls: string[] = [];
      stage.page.on('request', (request) => urls.push(request.url()));
      await stage.page.goto(stage.system.edge.url, { waitUntil: 'networkidle' });
      expect(numBytes).toBeGreaterThan(10_000);
      expect(numBytes).toBeLessThan(MAX_FIRST_LOAD_BYTES);
      for (const url of urls)
        expect(url.startsWith(stage.system.edge.url) || url.startsWith('data:')).toBe(true);
    });
  });
}
