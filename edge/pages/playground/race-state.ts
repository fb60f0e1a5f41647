import { signal } from '@preact/signals';
import { Run } from './run.ts';
import { requestFor, watched } from './settings.ts';
import type { Settings } from './settings.ts';
import { announced, key, model, settings } from './state.ts';

/** One after the other, so that each has the device alone; or both together. */
export type Order = 'in-turn' | 'at-once';

export interface Race {
  readonly question: string;
  readonly order: Order;
  readonly seed: string;
  readonly ar: Run;
  readonly tidar: Run;
}

export const race = signal<Race | undefined>(undefined);
export const order = signal<Order>('in-turn');
export const raceQuestion = signal('');
/** While a race is shown again: so many milliseconds of it. */
export const replayedMs = signal<number | undefined>(undefined);

export function startRace(): void {
  const question = raceQuestion.value.trim();
  if (question === '') return;
  const { seed: chosen } = settings.value;
  const seed = chosen === '' ? String(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) : chosen;
  const run = (changes: Partial<Settings>): Run => {
    const all = { ...settings.value, beta: 1, seed, ...changes };
    const messages = [{ role: 'user', content: question } as const];
    return new Run(watched(requestFor(all, model.value?.id ?? '', messages)));
  };
  stopRace();
  const next = {
    question,
    order: order.value,
    seed,
    ar: run({ decoder: 'ar' }),
    tidar: run({ decoder: 'tidar' }),
  };
  race.value = next;
  replayedMs.value = undefined;
  void drive(next);
}

export function stopRace(): void {
  race.value?.ar.stop();
  race.value?.tidar.stop();
}

async function drive({ order: chosen, ar, tidar }: Race): Promise<void> {
  announced.value = 'The race has begun.';
  if (chosen === 'at-once') {
    await Promise.all([ar.start(key.value), tidar.start(key.value)]);
  } else {
    await ar.start(key.value);
    // A stopped race is over; its second half was aborted with the first and says so at once.
    await tidar.start(key.value);
  }
  announced.value =
    ar.text === tidar.text ? 'The race is over: both texts are the same.' : 'The race is over.';
}

/** Shows both again as they came, side by side, however they were run. */
export function replay({ ar, tidar }: Race): void {
  const endMs = Math.max(ar.passes.at(-1)?.atMs ?? 0, tidar.passes.at(-1)?.atMs ?? 0);
  const startedAt = performance.now();
  const step = (): void => {
    const ms = performance.now() - startedAt;
    replayedMs.value = ms < endMs ? ms : undefined;
    if (ms < endMs) requestAnimationFrame(step);
  };
  step();
}
