import { describe, expect, it } from 'vitest';
import type { Headline, MeanFigures, RowFigures } from './figures.ts';
import { drawQuality, drawTrust } from './plots.ts';
import { lastLine, report } from './report.ts';
import { tableRows } from './rows.ts';
import type { Task } from './tasks/load.ts';

const exactly = (value: number) => ({ value, low: value, high: value });
const mean = (score: number, tokensPerForward: number): MeanFigures => ({
  ...{ numItems: 600, score, scoreHalfWidth: 0.0213, tokensPerSecond: 700 },
  ...{ tokensPerForward: exactly(tokensPerForward), speedup: exactly(1.5) },
});

const task: Task = {
  spec: {
    ...{ name: 'sums', file: 'sums.jsonl', type: 'exact', prompt: 'chat', extractor: 'whole' },
    ...{ checker: 'typescript', stop: [], maxTokens: 9, window: 9, isInDomain: true },
  },
  items: [],
  hash: '',
};

const rows = tableRows(16).map(({ id, label, family, model, decoder }, at): RowFigures => {
  const about = { id, label, family, model, decoder };
  if (id === 'speculative') return { ...about, notRun: 'no --draft-model folder', tasks: {} };
  const figures = {
    ...{ numItems: 40, numCutShort: 0, numRight: 30, score: { value: 0.75, low: 0.6, high: 0.86 } },
    ...{ tokensPerForward: exactly(1 + at), tokensPerSecond: 700, speedup: exactly(1.5), isFree: false },
  };
  return { ...about, tasks: { sums: figures }, mean: mean(0.75, 1 + at) };
});

describe('the last line', () => {
  const form = /^tidar score (-|\d+\.\d)  ar-only (-|\d+\.\d)  t\/nfe (-|\d+\.\d\d)  n \d+ ci (-|\d+\.\d)$/;

  it.each<[Headline, string]>([
    [
      { tidar: mean(0.8123, 7.456), arOnly: mean(0.8, 1) },
      'tidar score 81.2  ar-only 80.0  t/nfe 7.46  n 600 ci 2.1',
    ],
    [{ tidar: mean(1, 10) }, 'tidar score 100.0  ar-only -  t/nfe 10.00  n 600 ci 2.1'],
    [{}, 'tidar score -  ar-only -  t/nfe -  n 0 ci -'],
  ])('is of one form, with a dash for what was not run: %j', (headline, line) => {
    expect(lastLine(headline)).toBe(line);
    expect(line).toMatch(form);
    expect(report({ rows, headline, likelihoods: [] }, [task]).at(-1)).toBe(line);
  });
});

describe('the table', () => {
  const lines = report({ rows, headline: {}, likelihoods: [] }, [task]);

  it('has every row in its place, and says of one that was not run why', () => {
    const labels = lines.slice(1, 1 + rows.length).map((line) => line.split(/ {2,}/)[0]);
    expect(labels).toEqual(rows.map(({ label }) => label));
    expect(lines.filter((line) => line.startsWith('speculative'))).toEqual([
      expect.stringMatching(/  not run: no --draft-model folder$/) as string,
      expect.stringMatching(/  not run: no --draft-model folder$/) as string,
    ]);
    expect(lines.find((line) => line.startsWith('TiDAR 8 '))).toMatch(
      /75\.0 ±15  75\.0 ±2\.1 +\d+\.00 ±0\.00 +700  1\.50 ±0\.00$/,
    );
  });
});

describe('the pictures', () => {
  it('show a curve for each way to decode, and score by trust for each task', () => {
    const quality = drawQuality(rows, 'Quality', 'a machine');
    for (const name of ['AR', 'TiDAR', 'diffusion, threshold', 'tokens per forward pass', 'a machine'])
      expect(quality).toContain(`>${name}<`);
    expect(quality).not.toContain('>speculative<');
    const trust = drawTrust(rows, 'Trust', 'a machine');
    for (const name of ['sums', 'mean']) expect(trust).toContain(`>${name}<`);
    for (const svg of [quality, trust]) expect(svg).toMatch(/^<svg[\s\S]*<\/svg>$/);
  });
});
