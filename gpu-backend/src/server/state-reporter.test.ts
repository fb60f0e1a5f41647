import { expect, it } from 'vitest';
import type { EngineState } from './engine-messages.ts';
import { StateReporter } from './state-reporter.ts';

function reporter() {
  const residence = { usage: 0, numYields: 0 };
  const told: EngineState[] = [];
  return { residence, told, reporter: new StateReporter(residence, (state) => told.push(state)) };
}

it('the engine’s state is told seldom while it works, and as it is when it rests', () => {
  const { residence, told, reporter: one } = reporter();
  for (let now = 0; now < 1000; now += 10) {
    residence.usage = now / 1000;
    one.tell(now);
  }
  expect(told.length).toBeGreaterThan(2);
  expect(told.length).toBeLessThan(6);
  residence.usage = 0.125;
  one.tell();
  expect(told.at(-1)).toEqual({ cacheUsage: 0.125, numYields: 0 });
});

it('a state that is as it was is not told again', () => {
  const { residence, told, reporter: one } = reporter();
  one.tell();
  one.tell(0);
  expect(told).toEqual([]);
  residence.numYields = 1;
  one.tell();
  one.tell();
  expect(told).toEqual([{ cacheUsage: 0, numYields: 1 }]);
});
