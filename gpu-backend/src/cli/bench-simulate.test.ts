import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Recording } from '../engine/planner/recording.ts';
import { BATCH_SIZES, benchSimulate, simulateCommand, SLOT_CURVES } from './bench-simulate.ts';
import { FlagError } from './flags.ts';

const NUM_TOKENS = 60;
const BLOCK_SIZE = 8;

/** A model that is right about everything but every eleventh token. */
const recording: Recording = {
  version: 1,
  model: 'made up',
  blockSize: BLOCK_SIZE,
  sequences: Array.from({ length: 3 }, () => ({
    numTokens: NUM_TOKENS,
    blocks: Array.from({ length: NUM_TOKENS - 1 }, (_, known) => {
      const hits = Array.from({ length: BLOCK_SIZE - 1 }, (__, at) => ((known + 1 + at) % 11 === 0 ? 2 : 1));
      return { hits, margins: hits.map((hit) => (hit === 1 ? 8 : 0.3)), end: -1 };
    }),
  })),
};

const folder = mkdtempSync(join(tmpdir(), 'simulate-'));
afterAll(() => rmSync(folder, { recursive: true }));

function output(args: string[]): string {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  simulateCommand(args);
  const text = write.mock.calls.map(([chunk]) => String(chunk)).join('');
  write.mockRestore();
  return text;
}

describe('bench simulate', () => {
  it('has a cell for every curve, batch size and plan, relative to plain decoding', () => {
    const cells = benchSimulate(recording, 2);
    const plans = new Set(cells.map(({ plan }) => plan));
    expect([...plans]).toEqual([
      'ar',
      'dense k=4',
      'dense k=8',
      'sparse k=8',
      'branches k=8',
      'two-pass k=8',
      'auto',
    ]);
    expect(cells).toHaveLength(SLOT_CURVES.length * BATCH_SIZES.length * plans.size);
    for (const { plan, speedup, tokensPerForward } of cells) {
      if (plan === 'ar') expect({ speedup, tokensPerForward }).toEqual({ speedup: 1, tokensPerForward: 1 });
      expect(tokensPerForward).toBeLessThanOrEqual(BLOCK_SIZE);
      if (plan === 'auto') expect(speedup).toBeGreaterThan(0.95);
    }
    const auto = cells.find(({ plan }) => plan === 'auto')!;
    expect(auto.speedup).toBeGreaterThan(4);
  });

  it('says that it is a simulation, of which recording, in the table and as JSON', () => {
    const path = join(folder, 'recording.json');
    writeFileSync(path, JSON.stringify(recording));
    expect(output(['--acceptance', path, '--repetitions', '1'])).toMatch(
      /^SIMULATION: .*made up \(3 texts\)/,
    );
    const cells: unknown = JSON.parse(output(['--acceptance', path, '--repetitions', '1', '--json']));
    expect(cells).toEqual(benchSimulate(recording, 1));
  });

  it('tells what it needs', () => {
    expect(output(['--help'])).toContain('--acceptance PATH');
    expect(() => simulateCommand([])).toThrow(FlagError);
    const path = join(folder, 'broken.json');
    writeFileSync(path, '{"version":2}');
    expect(() => simulateCommand(['--acceptance', path])).toThrow(/broken\.json is none/);
  });
});
