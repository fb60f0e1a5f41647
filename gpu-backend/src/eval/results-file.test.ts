import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { readEvalFlags } from './flags.ts';
import type { EvalFlags } from './flags.ts';
import { runEvaluation } from './evaluation.ts';
import type { Evaluation } from './evaluation.ts';
import type { Figures } from './figures.ts';
import { ResultsFile } from './results-file.ts';
import { isPlanned, tableRows } from './rows.ts';
import type { Row } from './rows.ts';
import { loadTaskFlag } from './tasks/load.ts';
import { makeNonsenseModel, writeLines } from './testing.ts';

const ROWS = tableRows(4).filter((row) => !isPlanned(row));
const few = (): Row[] => ROWS.filter(({ id }) => ['ar', 'tidar-4', 'threshold-0.9'].includes(id));
const all = (): Row[] => ROWS;

/** What a repetition must give again: everything but times. */
function withoutTimes({ rows, headline, ...rest }: Figures): unknown {
  const timeless = JSON.stringify({ rows, headline }, (key, value: unknown) =>
    key === 'tokensPerSecond' || key === 'speedup' ? undefined : value,
  );
  return { ...(JSON.parse(timeless) as object), ...rest };
}

describe('a results file', () => {
  const line = { task: 'sums', index: 0, answers: {}, scores: { main: { bits: 1, numBytes: 2 } } };

  it('keeps lines for whoever opens it next, but for one that was cut off; the last one of an item counts', () => {
    const folder = temporaryFolder();
    const file = ResultsFile.open(folder, 'x');
    file.append(line);
    file.append({ ...line, index: 1 });
    file.append({ ...line, scores: {} });
    const text = readFileSync(file.path, 'utf8');
    for (let length = 0; length <= text.length; length++) {
      writeFileSync(file.path, text.slice(0, length));
      const opened = ResultsFile.open(folder, 'x');
      const numWhole = text.slice(0, length).split('\n').length - 1;
      expect(opened.numLines).toBe(Math.min(numWhole, 2));
      expect(opened.get('sums', 0)?.scores).toEqual([undefined, line.scores, line.scores, {}][numWhole]);
      expect(readFileSync(file.path, 'utf8').endsWith('\n') || numWhole === 0).toBe(true);
    }
  });

  it('is put aside when the run is at its end, thrown away for a fresh one, and refused where it is broken', () => {
    const folder = temporaryFolder();
    const file = ResultsFile.open(folder, 'x');
    file.append(line);
    expect(ResultsFile.open(folder, 'x', true).numLines).toBe(0);
    file.append(line);
    expect(readFileSync(file.finish(), 'utf8')).toBe(`${JSON.stringify(line)}\n`);
    expect(ResultsFile.open(folder, 'x').numLines).toBe(0);
    writeFileSync(file.path, '{}\n');
    expect(() => ResultsFile.open(folder, 'x')).toThrow(
      /x\.jsonl, line 1: is no result; --fresh starts anew/,
    );
  });
});

describe('an interrupted run that goes on', () => {
  interface Setting {
    run(this: void, rowsOf?: () => Row[], more?: Partial<EvalFlags>): Promise<Evaluation>;
    interrupt(this: void, evaluation: Evaluation, cut: (text: string) => string): void;
  }

  function makeSetting(): Setting {
    const folder = temporaryFolder();
    const sums = [1, 2, 3, 4].map((n) => ({ question: `What is ${n}?`, answer: `#### ${n}` }));
    const texts = ['the end', 'of the line', 'and the sea'].map((text) => ({ text }));
    const choices = [0, 1, 2].map((answer) => ({ context: 'the', choices: ['a', 'b', 'c'], answer }));
    const tasks = [
      `${writeLines(join(folder, 'sums.jsonl'), sums)}:exact:after-hashes`,
      `${writeLines(join(folder, 'text.jsonl'), texts)}:perplexity`,
      `${writeLines(join(folder, 'choices.jsonl'), choices)}:choices`,
    ].map(loadTaskFlag);
    const quick = tasks.map((task) => ({ ...task, spec: { ...task.spec, maxTokens: 10 } }));
    const paths = { main: makeNonsenseModel(), arOnly: undefined, draft: undefined, numThreads: 1 };
    const flags = readEvalFlags(['--limit', '2', '--headline', '3', '--results', join(folder, 'results')]);
    return {
      run: (rowsOf = few, more = {}) => runEvaluation(paths, quick, rowsOf, { ...flags, ...more }),
      interrupt: ({ answersFile }, cut) => {
        const text = cut(readFileSync(answersFile, 'utf8'));
        writeFileSync(answersFile.replace('.done.jsonl', '.jsonl'), text);
      },
    };
  }

  it('gives the figures of an unbroken one, wherever it was cut off', async () => {
    const { run, interrupt } = makeSetting();
    const unbroken = await run();
    for (const share of [0, 0.2, 0.55, 0.9, 0.999]) {
      interrupt(unbroken, (text) => text.slice(0, Math.floor(share * text.length)));
      expect(withoutTimes((await run()).figures)).toEqual(withoutTimes(unbroken.figures));
    }
  });

  it('measures nothing again: from a whole file even the times are the same', async () => {
    const { run, interrupt } = makeSetting();
    const unbroken = await run();
    interrupt(unbroken, (text) => text);
    expect(await run()).toEqual(unbroken);
    const again = await run();
    expect(withoutTimes(again.figures)).toEqual(withoutTimes(unbroken.figures));
    expect(again.figures).not.toEqual(unbroken.figures);
  });

  it('answers items again that more rows are asked for, and no item that is not', async () => {
    const { run, interrupt } = makeSetting();
    const whole = await run(all);
    interrupt(await run(few), (text) => text);
    const wholeAgain = await run(all);
    expect(withoutTimes(wholeAgain.figures)).toEqual(withoutTimes(whole.figures));
    interrupt(wholeAgain, (text) => text);
    const { figures } = await run(few);
    const ar = ({ rows }: Figures) => rows.find(({ id }) => id === 'ar');
    expect(ar(figures)).toEqual(ar(wholeAgain.figures));
  });

  it('is not gone on from with another seed or temperature; the folder’s place does not matter', async () => {
    const { run } = makeSetting();
    const names = [
      await run(),
      await run(few, { seed: 2 }),
      await run(few, { temperature: 1 }),
      await makeSetting().run(),
    ].map(({ answersFile }) => answersFile.slice(dirname(answersFile).length));
    expect(new Set(names).size).toBe(3); // the other setting's model and tasks have the same content
    expect(names[3]).toBe(names[0]);
  });
});
