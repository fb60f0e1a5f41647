import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

function run(script: string, args: readonly string[]) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const [EVAL, CURVES, PICTURE] = ['./exact-match.ts', './training-curve.ts', './picture.ts'] as const;

describe('the commands eval, curves and picture', () => {
  it.each<[string, string[], string]>([
    [EVAL, ['--bogus'], "eval: Unknown option '--bogus'"],
    [EVAL, ['stray'], 'eval: "stray" belongs to no flag'],
    [EVAL, ['--limit', '0'], 'eval: --limit must be a whole number of 1 or more; got "0".'],
    [EVAL, ['--limit'], "eval: Option '--limit <value>' argument missing"],
    [
      EVAL,
      ['--draft-lengths', '4,65'],
      'eval: --draft-lengths must be a whole number from 1 to 64; got "65".',
    ],
    [EVAL, ['--plans', 'best'], 'eval: --plans must be of auto, dense'],
    [EVAL, ['--kinds', 'riddles'], 'eval: --kinds: no questions of kind riddles; found '],
    [EVAL, ['--held-out', 'no/such'], 'eval: --held-out: there is no file no/such.'],
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

  it('eval asks every decoder the same questions, and its last line is JSON', () => {
    const args = '--limit 1 --draft-lengths 4 --plans sparse --max-tokens 40 --json';
    const { code, out } = run(EVAL, args.split(' '));
    const { model, results } = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as {
      model: string;
      results: { kind: string; decoder: string; numQuestions: number; numEqualToAr: number }[];
    };
    expect({ code, model }).toEqual({ code: 0, model: 'demo' });
    const all = results.filter(({ kind }) => kind === 'all');
    expect(all.map(({ decoder }) => decoder)).toEqual(['ar', 'tidar k=4', 'sparse k=16']);
    for (const { numQuestions, numEqualToAr } of all) expect(numEqualToAr).toBe(numQuestions);
  });
});
