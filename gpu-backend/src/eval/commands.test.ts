import { spawn, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FlagError } from '../cli/flags.ts';
import { DEMO_MODEL } from '../cli/open-model.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { writeTruncated } from '../model/testing/truncated-folder.ts';
import { chooseRows, chooseTasks } from './evaluation.ts';
import type { Figures } from './figures.ts';
import { readEvalFlags } from './flags.ts';
import { tableRows } from './rows.ts';
import { SHIPPED_TASKS } from './tasks/load.ts';
import { writeLines } from './testing.ts';

const pathOf = (script: string): string => fileURLToPath(new URL(script, import.meta.url));

function run(script: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [pathOf(script), ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

const [EVAL, CURVES, PICTURE] = ['./main.ts', './training-curve.ts', './picture.ts'] as const;

describe('the commands eval, curves and picture', () => {
  it.each<[string, string[], string]>([
    [EVAL, ['--bogus'], "eval: Unknown option '--bogus'"],
    [EVAL, ['--only', 'riddles'], 'eval: --only: no task riddles; there are arithmetic-seen'],
    [CURVES, ['--bogus'], "curves: Unknown option '--bogus'"],
    [CURVES, [], 'curves: Give --out FILE.svg and a run.'],
    [CURVES, ['--out', 'x.svg', '--width', '9', 'run'], 'curves: --width must be a whole number from 100'],
    [CURVES, ['--out', 'x.svg', 'no/such'], 'curves: there is no '],
    [PICTURE, ['--bogus'], "picture: Unknown option '--bogus'"],
    [PICTURE, [], 'picture: Give --out FILE and a question.'],
  ])('answer wrong flags by one sentence: %s %j', (script, args, says) => {
    const { code, out, err } = run(script, args);
    expect(err).toContain(says);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  it.each<[string[], string]>([
    [['stray'], '"stray" belongs to no flag'],
    [['--limit', '0'], '--limit must be a whole number of 1 or more; got "0".'],
    [['--limit'], "Option '--limit <value>' argument missing"],
    [['--draft-lengths', '4,65'], '--draft-lengths must be a whole number from 1 to 64; got "65".'],
    [['--temperature', '3'], '--temperature must be a number from 0 to 2'],
    [['--seed', '-1'], '--seed must be a whole number of 0 or more'],
    [['--rows', 'best'], '--rows: no row best; there are ar-only, ar, speculative, confidence-1'],
    [['--task', 'x.jsonl'], '--task must be FILE:type'],
    [['--tasks', 'no/such'], '--tasks: the file no/such cannot be read (ENOENT).'],
    [['--tasks', SHIPPED_TASKS, '--task', 'x:exact'], 'Give --tasks or --task, not both.'],
    [['--compare', ''], '--compare needs model folders'],
    [['--compare', 'a,b', '--model', 'c'], '--compare takes no --model.'],
  ])('eval refuses flags that mean nothing: %j', (args, says) => {
    const read = (): void => {
      const flags = readEvalFlags(args);
      chooseTasks(flags);
      chooseRows(tableRows(16), flags.rows);
    };
    expect(read).toThrow(FlagError);
    expect(read).toThrow(says);
  });

  it.each<[string[], object]>([
    [[], { limits: { table: 30, headline: 100 }, seed: 1, temperature: 0, numThreads: 1 }],
    [['--quick'], { limits: { table: 4, headline: 16 } }],
    [['--limit', '7'], { limits: { table: 7, headline: 7 } }],
    [['--limit', '7', '--headline', '9'], { limits: { table: 7, headline: 9 } }],
    [['--headline', '5'], { limits: { table: 30, headline: 30 } }],
    [['--compare', 'a,b'], { compare: ['a', 'b'], draftLengths: [2, 4, 8, 12, 16, 24] }],
    [
      ['--rows', 'tidar-4,beta-0', '--task', 'a:exact', '--task', 'b:json'],
      { taskTexts: ['a:exact', 'b:json'] },
    ],
  ])('eval reads %j', (args, expected) => {
    expect(readEvalFlags(args)).toMatchObject(expected);
  });

  it('eval tells a missing model folder with its flag', () => {
    expect(run(EVAL, ['--model', 'no/such'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('give a model folder with --model') as unknown,
    });
  });
});

/** As `--json` writes it. */
type Json = Figures & { lastLine: string; models: object };

describe('npm run eval on the demo model', () => {
  it('prints the table of all rows, writes JSON and pictures, and ends with the line for scripts', () => {
    const folder = temporaryFolder();
    const draft = writeTruncated(DEMO_MODEL, temporaryFolder(), 1);
    const [json, plot] = [join(folder, 'eval.json'), join(folder, 'eval')];
    const args = ['--limit', '1', '--only', 'factbook,continuation-choices', '--json', json, '--plot', plot];
    const models = ['--ar-only', DEMO_MODEL, '--draft-model', draft, '--results', folder];
    const { code, out, err } = run(EVAL, [...args, ...models]);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('2/2 items') as unknown });
    const { rows, headline, lastLine, likelihoods } = JSON.parse(readFileSync(json, 'utf8')) as Json;
    expect(rows).toHaveLength(18);
    expect(rows.flatMap(({ notRun }) => notRun ?? [])).toEqual([]);
    for (const { label } of rows) expect(out).toContain(`\n${label} `);
    expect(out.trimEnd().split('\n').at(-1)).toBe(lastLine);
    expect(lastLine).toMatch(/^tidar score \d+\.\d  ar-only \d+\.\d  t\/nfe \d+\.\d\d  n 1 ci \d+\.\d$/);
    expect(headline.difference?.value).toBe(0); // the same weights
    expect(likelihoods.map(({ model, numItems }) => `${model} ${numItems}`)).toEqual(['main 1', 'ar-only 1']);
    for (const picture of ['quality', 'trust']) expect(existsSync(`${plot}-${picture}.svg`)).toBe(true);
  }, 180_000);

  it('goes on where it was killed, and gives what an unbroken run gives', async () => {
    const folder = temporaryFolder();
    const args = ['--limit', '8', '--only', 'factbook', '--rows', 'tidar-4,threshold-0.8'];
    const evaluateIn = (name: string): Json => {
      const [json, results] = [join(folder, `${name}.json`), join(folder, name)];
      const { code, err } = run(EVAL, [...args, '--results', results, '--json', json]);
      expect(code).toBe(0);
      expect(err.includes('going on from')).toBe(name === 'broken');
      return JSON.parse(readFileSync(json, 'utf8')) as Json;
    };
    const child = spawn(process.execPath, [pathOf(EVAL), ...args, '--results', join(folder, 'broken')]);
    const lines = (): number =>
      globSync(join(folder, 'broken', '*.jsonl'))
        .map((path) => readFileSync(path, 'utf8').split('\n').length - 1)
        .reduce((a, b) => a + b, 0);
    while (lines() < 3) await delay(1);
    child.kill('SIGKILL');
    expect(lines()).toBeLessThan(8);
    const timeless = ({ rows, lastLine, models }: Json): unknown =>
      JSON.parse(
        JSON.stringify({ rows, lastLine, models }, (key, value: unknown) =>
          key === 'tokensPerSecond' || key === 'speedup' ? undefined : value,
        ),
      );
    expect(timeless(evaluateIn('broken'))).toEqual(timeless(evaluateIn('unbroken')));
  }, 180_000);

  it('compares models over draft lengths, each with its own score', () => {
    const folder = temporaryFolder();
    const small = writeTruncated(DEMO_MODEL, temporaryFolder(), 4);
    const json = join(folder, 'compare.json');
    const args = ['--compare', `${DEMO_MODEL},${small}`, '--limit', '2', '--only', 'arithmetic-seen'];
    const { code, out } = run(EVAL, [...args, '--draft-lengths', '2,8', '--results', folder, '--json', json]);
    expect(code).toBe(0);
    const [, , , header = '', ...rows] = out.split('\n');
    expect(header.split(/ {2,}/)).toEqual(['model', 'block size', 'score, %', 't/nfe at 2', 't/nfe at 8']);
    expect(rows.slice(0, 2).map((row) => row.split(/ {2,}/)[0])).toEqual([DEMO_MODEL, small]);
    const { models } = JSON.parse(readFileSync(json, 'utf8')) as { models: (Figures & { folder: string })[] };
    expect(models.map(({ rows: own }) => own.map(({ id }) => id))).toEqual([
      ['ar', 'tidar-2', 'tidar-8'],
      ['ar', 'tidar-2', 'tidar-8'],
    ]);
  }, 180_000);

  it('takes a file of one’s own, and runs what the model wrote only where that is allowed', () => {
    const folder = temporaryFolder();
    const line = { prompt: 'The capital', test: 'throw new Error();' };
    const task = `${writeLines(join(folder, 'code.jsonl'), [line])}:code:javascript`;
    const refused = run(EVAL, ['--task', task]);
    expect(refused).toMatchObject({
      code: 2,
      err: expect.stringContaining('--run-code allows it') as unknown,
    });
    const { code, out } = run(EVAL, [
      '--task',
      task,
      '--run-code',
      '--rows',
      'tidar-16',
      '--results',
      folder,
    ]);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n').at(-1)).toMatch(
      /^tidar score 0\.0  ar-only -  t\/nfe \d+\.\d\d  n 1 ci \d/,
    );
  }, 180_000);
});
