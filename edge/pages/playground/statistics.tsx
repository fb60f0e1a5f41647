import type { JSX } from 'preact';
import { Histogram } from './histogram.tsx';
import type { Run } from './run.ts';
import type { ShownPass } from './tokens.ts';

interface StatisticsProps {
  readonly run: Run;
  readonly numShown: number;
}

/** The run in numbers. */
export function Statistics({ run, numShown }: StatisticsProps): JSX.Element {
  const numbers = run.numbers(numShown);
  const last = run.passes[numShown - 1];
  const figures: [name: string, value: string, hint: string][] = [
    ['tokens a pass', decimal(numbers.tokensPerPass), 'after the prompt; plain decoding has 1'],
    ['tokens a second', decimal(numbers.tokensPerSecond), 'by what the passes took'],
    ['first token', milliseconds(numbers.firstTokenMs), 'since the request went out'],
    ['passes', String(numbers.numPasses), `for ${numbers.numTokens} tokens`],
    ['rows', last?.stats === undefined ? '–' : String(last.stats.rows), 'of the last pass'],
    ['plan', last?.stats?.plan ?? '–', last?.stats === undefined ? '' : shared(last.stats.sequences)],
  ];
  const counts = acceptedLengths(run.passes.slice(0, numShown));
  return (
    <div class="statistics">
      <dl class="figures">
        {figures.map(([name, value, hint]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            <dd class="hint">{hint}</dd>
          </div>
        ))}
      </dl>
      {counts.length > 0 && <Histogram counts={counts} isLive={!run.isOver} />}
    </div>
  );
}

/** How many passes decided so many tokens, from none on; without the prompt's own pass. */
function acceptedLengths(passes: readonly ShownPass[]): number[] {
  const counts: number[] = [];
  for (const { tokens, index } of passes) {
    if (index === 0) continue;
    while (counts.length <= tokens.length) counts.push(0);
    counts[tokens.length] = (counts[tokens.length] ?? 0) + 1;
  }
  return counts;
}

export function decimal(value: number | undefined): string {
  if (value === undefined) return '–';
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}
export const milliseconds = (value: number | undefined): string =>
  value === undefined ? '–' : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(2)} s`;
const shared = (numTexts: number): string =>
  numTexts === 1 ? 'alone in the pass' : `${numTexts} texts in the pass`;
