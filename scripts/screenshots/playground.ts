import type { Page } from 'playwright-core';
import { QUESTIONS } from './questions.ts';
import { PHONE, type Shot, type Stage, WIDE } from './shot.ts';

/** Of an answer with its whole trace: enough for some passes, and not for all. */
const BYTES_OF_HALF = 14_000;

/** Opens the page over the wire, and gives it the key as a person would. */
async function enter(page: Page, system: Stage): Promise<void> {
  await page.goto(system.wire.url);
  await page.getByLabel('API key').fill(system.key);
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('.model').waitFor({ state: 'attached' });
}

async function send(page: Page, question: string): Promise<void> {
  await page.getByLabel('Your question').fill(question);
  await page.keyboard.press('Enter');
}

const ended = (page: Page): Promise<void> => page.locator('.turn[data-state="done"]').last().waitFor();
const view = (page: Page, name: string): Promise<void> =>
  page.getByRole('button', { name, exact: true }).click();

/** A chat whose last answer stands still in its middle, one of its tokens looked at; returned is what lets it go on. */
async function chatInTheMiddle(page: Page, system: Stage): Promise<() => void> {
  await enter(page, system);
  // What `auto` would do here depends on how busy the machine is that makes the pictures.
  await page.getByRole('tab', { name: 'Settings' }).click();
  await page.getByLabel('Plan').selectOption('branches');
  await page.getByRole('tab', { name: 'Passes' }).click();
  await send(page, QUESTIONS[2]);
  await ended(page);
  // It comes over the wire too, which is held from here on.
  await page.locator('.histogram canvas').waitFor();
  const held = system.wire.holdAfter(BYTES_OF_HALF);
  await send(page, QUESTIONS[1]);
  await held;
  const answer = page.locator('.turn').last().locator('.answer');
  await answer.locator('.pass').nth(1).waitFor();
  await answer.locator('.token').nth(3).hover();
  return () => system.wire.release();
}

async function race(page: Page, system: Stage): Promise<void> {
  await enter(page, system);
  await view(page, 'Race');
  await page.getByLabel('The question of both').fill(QUESTIONS[0]);
  await page.getByRole('button', { name: 'Race', exact: true }).last().click();
  await page.locator('.verdict').waitFor();
}

async function howItWorks(page: Page, system: Stage): Promise<void> {
  await enter(page, system);
  await page.getByRole('tab', { name: 'Settings' }).click();
  await page.getByLabel('Plan').selectOption('dense');
  await page.getByLabel('Draft length').fill('4');
  await send(page, QUESTIONS[1]);
  await ended(page);
  await view(page, 'How it works');
  for (let step = 0; step < 3; step += 1) await page.getByRole('button', { name: 'Forward' }).click();
}

export const PLAYGROUND_SHOTS: readonly Shot[] = [
  { name: 'playground-chat', look: 'light', ...WIDE, prepare: chatInTheMiddle },
  { name: 'playground-chat-dark', look: 'dark', ...WIDE, prepare: chatInTheMiddle },
  { name: 'playground-race', look: 'light', ...WIDE, prepare: race },
  { name: 'playground-how', look: 'light', ...WIDE, height: 960, prepare: howItWorks },
  { name: 'playground-phone', look: 'light', ...PHONE, prepare: chatInTheMiddle },
];
