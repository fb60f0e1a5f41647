import { describe, expect, it } from 'vitest';
import { drawRound } from './plan.ts';
import { runChaos } from './run.ts';

const NUM_ROUNDS = 6;
const SEED = 'kill';
const LIMIT_MS = 600_000;

describe('a plan', () => {
  it('follows from its seed and its number alone', () => {
    for (let round = 0; round < 50; round += 1) {
      expect(drawRound('a', round, 24)).toEqual(drawRound('a', round, 24));
    }
    expect(drawRound('a', 0, 24)).not.toEqual(drawRound('b', 0, 24));
    expect(drawRound('a', 0, 24)).not.toEqual(drawRound('a', 1, 24));
  });

  it('of 200 rounds has every fault, and every way to come back', () => {
    const plans = Array.from({ length: 200 }, (_, round) => drawRound('a', round, 24));
    const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ fault }) => fault.kind)));
    expect([...kinds].toSorted()).toEqual([
      'clock',
      'cut',
      'cut-all',
      'dead-wire',
      'duplicate',
      'kill-backend',
      'kill-edge-all',
      'kill-edge-parent',
      'kill-workerd',
      'long-absence',
      'lose-journal',
      'restart-backend',
      'restart-edge',
    ]);
    const ways = new Set(plans.flatMap(({ clients }) => clients.map(({ returnBy }) => returnBy)));
    expect(ways.size).toBe(4);
  });
});

describe('the system under faults', () => {
  it(
    `keeps every law in ${NUM_ROUNDS} rounds`,
    async () => {
      const lines: string[] = [];
      const report = await runChaos({
        seed: SEED,
        numRounds: NUM_ROUNDS,
        firstRound: 0,
        numWorlds: 2,
        keepsTraces: false,
        print: (line) => void lines.push(line),
        signal: new AbortController().signal,
      });
      expect(report.problems, lines.join('\n')).toEqual([]);
      expect(report).toMatchObject({ numRounds: NUM_ROUNDS, lost: 0, billedTwice: 0, unbilledTokens: 0 });
      expect(report.numWhole).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
