import type { Page } from 'playwright-core';
import { PHONE, type Shot, type Stage, WIDE } from './shot.ts';

async function open(page: Page, system: Stage, path: string): Promise<void> {
  await page.goto(`${system.edge.url}/console#/${path}`);
  await page.getByLabel('Admin token').fill(system.adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1 }).and(page.locator('.view-head h1')).waitFor();
  await page.locator('.waiting').first().waitFor({ state: 'detached' });
}

const canvas = (page: Page): Promise<void> => page.locator('canvas').first().waitFor();

export const CONSOLE_SHOTS: readonly Shot[] = [
  {
    name: 'console-keys',
    look: 'light',
    ...WIDE,
    height: 560,
    prepare: (page, system) => open(page, system, 'keys'),
  },
  {
    name: 'console-key',
    look: 'dark',
    ...WIDE,
    height: 960,
    prepare: (page, system) => open(page, system, `keys/${system.keyId}`),
  },
  {
    name: 'console-usage',
    look: 'light',
    ...WIDE,
    height: 960,
    async prepare(page, system) {
      await open(page, system, 'usage');
      await canvas(page);
    },
  },
  {
    name: 'console-usage-dark',
    look: 'dark',
    ...WIDE,
    height: 960,
    async prepare(page, system) {
      await open(page, system, 'usage');
      await page.getByLabel('Measure').selectOption({ label: 'Cost' });
      await canvas(page);
    },
  },
  {
    name: 'console-backends',
    look: 'light',
    ...WIDE,
    height: 700,
    async prepare(page, system) {
      for (const count of [1, 2, 4, 6, 8]) await system.askTogether(count);
      // Its next heartbeat says what they took.
      await page.waitForTimeout(3_000);
      await open(page, system, 'backends');
      await canvas(page);
    },
  },
  {
    name: 'console-phone',
    look: 'dark',
    ...PHONE,
    async prepare(page, system) {
      await open(page, system, 'usage');
      await canvas(page);
    },
  },
];
