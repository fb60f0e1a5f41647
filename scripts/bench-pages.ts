/**
 * `npm run bench-pages`: a long answer in the playground, in a real Chromium, with its statistics beside it: how long the
 * page's own thread was not to be had, what it computed, and how evenly it was drawn and scrolled.
 */
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import { numberFlag, parseFlags, runCommand, wholeNumber } from '../gpu-backend/src/cli/flags.ts';
import { longAnswer } from '../test/support/long-answer.ts';
import { PlaygroundSystem } from '../test/support/playground.ts';

const HELP = `Measures the playground while an answer comes and while it is scrolled.

  npm run bench-pages -- [flags]

  --tokens <n>    tokens of the answer, five a pass; 2000 by default
  --pace-ms <n>   between two passes; 10 by default
  --help          this text`;

const DEFAULTS = { tokens: 2000, paceMs: 10 };
const TOKENS = wholeNumber(5, 8000);
const PACE = wholeNumber(0, 1000);

/** Collects in the page: tasks above 50 ms, as browsers count long ones, and the time between frames. */
const WATCH = `globalThis.watched = { tasks: [], frames: [] };
new PerformanceObserver((list) => watched.tasks.push(...list.getEntries().map(({ duration }) => duration)))
  .observe({ type: 'longtask', buffered: false });
let last = performance.now();
(function frame(now) { watched.frames.push(now - last); last = now; requestAnimationFrame(frame); })(last);`;

const SCROLL = `(async () => {
  const height = document.documentElement.scrollHeight;
  for (let at = 0; at < height; at += 40) {
    scrollTo(0, at);
    await new Promise(requestAnimationFrame);
  }
})()`;

interface Watched {
  readonly tasks: readonly number[];
  readonly frames: readonly number[];
}

/** What the page's thread computed, whatever else the machine does. */
class ThreadClock {
  readonly #session: CDPSession;
  readonly #before: Map<string, number>;

  private constructor(session: CDPSession, before: Map<string, number>) {
    this.#session = session;
    this.#before = before;
  }

  static async start(page: Page): Promise<ThreadClock> {
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    return new ThreadClock(session, await readMetrics(session));
  }

  async report(): Promise<string> {
    const after = await readMetrics(this.#session);
    const since = (name: string): number => (after.get(name) ?? 0) - (this.#before.get(name) ?? 0);
    const ms = (name: string): string => `${(1000 * since(name)).toFixed(0)} ms`;
    return `${ms('ThreadTime')} of its main thread, ${ms('LayoutDuration')} for ${since('LayoutCount')} layouts`;
  }
}

async function readMetrics(session: CDPSession): Promise<Map<string, number>> {
  const { metrics } = await session.send('Performance.getMetrics');
  return new Map(metrics.map(({ name, value }) => [name, value]));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function taken(page: Page): Promise<Watched> {
  const watched = await page.evaluate<Watched>('watched');
  await page.evaluate('watched.tasks = []; watched.frames = []');
  return watched;
}

function report(name: string, { tasks, frames }: Watched): void {
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(0);
  const total = tasks.reduce((sum, duration) => sum + duration, 0);
  const longest = Math.max(0, ...tasks).toFixed(0);
  say(
    `${name}: ${tasks.length} long tasks, ${total.toFixed(0)} ms in all, the longest ${longest} ms; ` +
      `${frames.length} frames, ${at(0.5)} ms apart (median), ${at(0.99)} ms (99%)`,
  );
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    tokens: text,
    'pace-ms': text,
    help: { type: 'boolean' },
  });
  if (flags.values['help'] === true) return say(HELP);
  const numTokens = numberFlag(flags, 'tokens', DEFAULTS.tokens, TOKENS);
  const paceMs = numberFlag(flags, 'pace-ms', DEFAULTS.paceMs, PACE);
  const system = await PlaygroundSystem.start();
  try {
    say(
      `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Chromium ${system.browser.version()}, no GPU`,
    );
    const visit = await system.open();
    system.scripted.play(longAnswer(numTokens, () => sleep(paceMs)).script);
    await visit.enter();
    await visit.askScripted(numTokens);
    await visit.page.evaluate(WATCH);
    const cpu = await ThreadClock.start(visit.page);
    await visit.ask();
    report(`${numTokens} tokens, a pass every ${paceMs} ms`, await taken(visit.page));
    say(`of the processor it took ${await cpu.report()}`);
    await visit.page.evaluate(SCROLL);
    report('scrolled from top to end', await taken(visit.page));
    await visit.close();
  } finally {
    await system.close();
  }
}

await runCommand('npm run bench-pages', main);
