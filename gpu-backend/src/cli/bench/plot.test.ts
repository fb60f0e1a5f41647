import { describe, expect, it } from 'vitest';
import { drawBars, drawCurves } from './plot.ts';

const points = [
  { x: 1, y: 10, low: 9, high: 12 },
  { x: 2, y: 15, low: 14, high: 16 },
  { x: 32, y: 40 },
  { x: 64, y: 41, low: -Infinity, high: Infinity },
];
const CAPS = /d="M[\d.]+ [\d.]+L[\d.]+ [\d.]+M/g;

describe('plots', () => {
  it('show each curve by its name, and an error bar where a point has an interval', () => {
    const svg = drawCurves(
      [
        { name: 'tidar', points },
        { name: 'ceiling', points: points.slice(0, 1), isDashed: true },
      ],
      { title: 'Batch', subtitle: 'demo', xName: 'sequences', yName: 'tokens/s', xScale: 'log' },
    );
    expect(svg).toMatch(/^<svg .*<\/svg>$/s);
    for (const text of ['tidar', 'ceiling', 'Batch', 'demo', 'sequences', 'tokens/s'])
      expect(svg).toContain(`>${text}</text>`);
    expect(svg.match(CAPS)).toHaveLength(3);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('show each bar by its name, and what it is held against', () => {
    const svg = drawBars(
      [
        { name: 'ar', y: 100 },
        { name: 'auto', y: 400, low: 390, high: 410 },
      ],
      {
        title: 'Decode',
        yName: 'tokens/s',
        reference: { name: 'llama.cpp', y: 90 },
      },
    );
    for (const text of ['ar', 'auto', 'llama.cpp']) expect(svg).toContain(`>${text}</text>`);
    expect(svg.match(CAPS)).toHaveLength(1);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
