import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONSOLE_SHOTS } from '../../../scripts/screenshots/console.ts';
import { takeShot } from '../../../scripts/screenshots/shot.ts';
import { axeProblems } from '../../support/browser.ts';
import type { ConsoleDesk } from '../../support/console.ts';
import { ADMIN_TOKEN } from '../../support/edge-harness.ts';

const MAX_FIRST_LOAD_BYTES = 150_000;

/** The page as a whole: by keyboard, by axe, by weight. */
export function testWhole(desk: ConsoleDesk): void {
  describe('the page', () => {
    const VIEWS = ['keys', 'usage', 'requests', 'backends', 'audit', 'receipts'];

    it.each([
      ['light', 1280],
      ['dark', 390],
    ] as const)(
      'has nothing that axe finds, in the %s look and %i pixels wide',
      async (colorScheme, width) => {
        const { id } = await desk.newKey({ name: 'looked at', budget_tokens: 100 });
        await desk.open('', ADMIN_TOKEN, { colorScheme, viewport: { width, height: 800 } });
        await desk.heading('Keys').waitFor();
        for (const path of [...VIEWS, `keys/${id}`]) {
          await desk.page.goto(`${desk.edge.url}/console#/${path}`);
          await desk.page.locator('.waiting').first().waitFor({ state: 'detached' });
          expect([path, await axeProblems(desk.page)]).toEqual([path, []]);
          const overflow = await desk.page.evaluate('document.documentElement.scrollWidth - innerWidth');
          expect([path, Number(overflow) <= 0]).toEqual([path, true]);
        }
        await desk.page.goto(`${desk.edge.url}/console#/keys`);
        await desk.button('Make a key').click();
        expect(await axeProblems(desk.page)).toEqual([]);
        expect(desk.problems).toEqual([]);
      },
    );

    it('is used by keyboard alone: a dialog takes the focus, Escape closes it and gives the focus back', async () => {
      await desk.open();
      await desk.button('Make a key').focus();
      await desk.page.keyboard.press('Enter');
      const isInDialog = 'document.activeElement.closest("dialog") !== null';
      await expect.poll(() => desk.page.evaluate(isInDialog)).toBe(true);
      await desk.page.keyboard.press('Escape');
      await expect.poll(() => desk.page.evaluate('document.activeElement.textContent')).toBe('Make a key');
      expect(await desk.page.getByRole('dialog').count()).toBe(0);
      await desk.page.getByRole('link', { name: 'Usage' }).focus();
      await desk.page.keyboard.press('Enter');
      const focused = '`${document.activeElement.tagName} ${document.activeElement.textContent}`';
      await expect.poll(() => desk.page.evaluate(focused)).toBe('H1 Usage');
      expect(await desk.page.title()).toBe('Usage · TiDAR console');
    });

    it('is pictured as npm run screenshots does it, without a complaint and in few bytes', async () => {
      const { id, key } = await desk.newKey({ name: 'pictured', budget_tokens: 20_000 });
      await desk.answerTo(key);
      await desk.billed(id);
      const stage = {
        ...{ edge: desk.edge, wire: desk.site.proxy, adminToken: ADMIN_TOKEN, key, keyId: id },
        askTogether: async () => void (await desk.answerTo(key)),
      };
      const phone = CONSOLE_SHOTS.filter(({ name }) => name === 'console-phone');
      for (const shot of phone)
        expect(await takeShot(shot, stage, desk.browser, desk.folder)).toMatch(/ {2}\d+ kB$/);
      expect((await stat(join(desk.folder, 'console-phone.png'))).size).toBeGreaterThan(10_000);
    });

    it('loads little, and from this server alone', async () => {
      await desk.openTab();
      const sizes: Promise<number>[] = [];
      const elsewhere: string[] = [];
      desk.page.on('response', (response) => {
        if (!response.url().startsWith(desk.edge.url)) elsewhere.push(response.url());
        sizes.push(
          response
            .request()
            .sizes()
            .then(({ responseBodySize }) => responseBodySize),
        );
      });
      await desk.page.goto(`${desk.edge.url}/console`, { waitUntil: 'networkidle' });
      const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      expect(total).toBeGreaterThan(10_000);
      expect(total).toBeLessThan(MAX_FIRST_LOAD_BYTES);
      expect(elsewhere.filter((url) => !url.startsWith('data:'))).toEqual([]);
    });
  });
}
