import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../support/repository-files.ts';
import type { Stage } from '../../support/playground.ts';
import { QUESTION } from '../../support/playground.ts';

/** What the page has beside the chat. */
export function testViews(stage: Stage): void {
  describe('a race', () => {
    it.each(['one after the other', 'at once'])('%s gives the same text twice', async (order) => {
      await stage.visit.enter();
      await stage.visit.view('Race');
      await stage.page.getByLabel('The question of both').fill(QUESTION);
      await stage.page.getByLabel(order, { exact: false }).check();
      await stage.visit.panel('Settings');
      await stage.page.getByLabel('Temperature').fill('1');
      await stage.page.getByRole('button', { name: 'Race', exact: true }).last().click();
      await stage.page.locator('.verdict').waitFor();
      expect(await stage.page.locator('.verdict').getAttribute('data-same')).toBe('true');
      const [ar = '', tidar] = await stage.page.locator('.lane .answer').allTextContents();
      expect(ar).toBe(tidar);
      expect(ar.length).toBeGreaterThan(20);
      const [slow = '', fast = ''] = await stage.page.locator('.lane-numbers').allTextContents();
      const passes = (text: string): number => Number(/(\d+) passes/.exec(text)?.[1]);
      expect(passes(fast)).toBeLessThanOrEqual(passes(slow));
    });
  });

  describe('how it works', () => {
    it('draws one real pass row by row, forward and back', async () => {
      await stage.visit.enter();
      await stage.visit.panel('Settings');
      await stage.page.getByLabel('Plan').selectOption('dense');
      await stage.page.getByLabel('Draft length').fill('4');
      await stage.visit.ask();
      await stage.visit.view('How it works');
      const rows = stage.page.locator('.diagram .row-line');
      expect(await rows.count()).toBe(1);
      const next = stage.page.getByRole('button', { name: 'Forward' });
      await next.click();
      // Four drafts with the decided token, and for each of them a block of four masks.
      expect(await rows.count()).toBe(4 + 4 * 4);
      expect(await stage.page.locator('.diagram .cell').count()).toBe(0);
      await next.click();
      expect(await stage.page.locator('.diagram .cell').count()).toBeGreaterThan(20);
      await next.click();
      await next.click();
      expect(await next.isDisabled()).toBe(true);
      expect(await stage.page.locator('.row-line.kept').count()).toBeGreaterThan(1);
      await stage.page.getByRole('button', { name: 'Back', exact: true }).click();
      expect(await stage.page.locator('[aria-current="step"]').textContent()).toContain('Verify');
      const title = await stage.page.locator('#how-title').textContent();
      await stage.page.getByRole('button', { name: 'Next pass' }).click();
      expect(await stage.page.locator('#how-title').textContent()).not.toBe(title);
    });
  });

  describe('a link to share', () => {
    it('brings settings and question, and never the key', async () => {
      await stage.visit.enter();
      await stage.page.getByLabel('Your question').fill(QUESTION);
      await stage.visit.panel('Settings');
      await stage.page.getByLabel('Seed').fill('123');
      await stage.page.evaluate('navigator.clipboard.writeText = async (text) => { document.title = text; }');
      await stage.page.getByRole('button', { name: 'Share' }).click();
      const link = await stage.page.title();
      const told = Buffer.from(new URL(link).hash.slice('#share='.length), 'base64url').toString();
      expect(JSON.parse(told)).toEqual({ settings: { seed: '123' }, questions: [QUESTION] });
      expect(link + told).not.toContain(stage.system.client.key);
      const other = await stage.system.open();
      await other.page.goto(link);
      expect(await other.page.getByLabel('Your question').inputValue()).toBe(QUESTION);
      await other.page.getByRole('tab', { name: 'Settings' }).click();
      expect(await other.page.getByLabel('Seed').inputValue()).toBe('123');
      expect(other.page.url()).not.toContain('share');
      await other.close();
    });
  });

  describe('the request as code', () => {
    it('in JavaScript is run as it stands, and gives the text that the page shows', async () => {
      await stage.visit.enter();
      await stage.visit.ask();
      await stage.visit.panel('Code');
      await stage.page.getByRole('button', { name: 'JavaScript' }).click();
      const code = (await stage.page.locator('.code pre').textContent()) ?? '';
      expect(code).not.toContain(stage.system.client.key);
      // Not at once: the wires before the backends are in this process.
      const { stdout: text } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '--eval', code],
        {
          cwd: repositoryRoot,
          env: { ...process.env, TIDAR_KEY: stage.system.client.key },
        },
      );
      expect(text.trimEnd()).toBe(await stage.visit.answerText());
    });
  });
}
