import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('./generate.ts', import.meta.url));
const MODEL = fileURLToPath(new URL('../../../test/fixtures/llama-tidar', import.meta.url));
const EXPECTED = JSON.parse(readFileSync(`${MODEL}/expected.json`, 'utf8')) as {
  prompt: number[];
  greedy: number[];
};
const PROMPT = ['--model', MODEL, '--prompt-ids', EXPECTED.prompt.join(',')];

function run(args: readonly string[], env: Record<string, string> = {}) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env;
  const result = spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: 'utf8',
    env: { ...inherited, ...env },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

interface Printed {
  text: string;
  tokenIds: number[];
  finishReason: string;
  usage: { promptTokens: number; completionTokens: number; numForwardPasses: number };
  steps: {
    tokenIds: number[];
    numRows: number;
    numDrafted: number;
    numAccepted: number;
    milliseconds: number;
  }[];
  seed: string;
}

function printed(args: readonly string[]): Printed {
  const { code, out, err } = run([...args, '--json']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Printed;
}

describe('the command generate', () => {
  it('prints one JSON object as its last line: the golden tokens, and counts that add up', () => {
    const { tokenIds, finishReason, usage, steps } = printed([...PROMPT, '--max-tokens', '32']);
    expect(tokenIds).toEqual(EXPECTED.greedy);
    expect(finishReason).toBe('length');
    expect(usage).toEqual({ promptTokens: 9, completionTokens: 32, numForwardPasses: steps.length });
    expect(steps.flatMap((step) => step.tokenIds)).toEqual(tokenIds);
    expect(steps.length).toBeLessThan(24);
  });

  it('gives the same tokens with either decoder, repeated by the seed that it printed', () => {
    const sampled = [...PROMPT, '--max-tokens', '20', '--temperature', '1.2'];
    const drafted = printed([...sampled, '--draft-length', '7']);
    const plain = printed([...sampled, '--decode', 'ar', '--seed', drafted.seed]);
    expect(plain.tokenIds).toEqual(drafted.tokenIds);
    expect(plain.steps).toHaveLength(20);
  });

  it('colours each forward pass on a terminal, and never with NO_COLOR or in a pipe', () => {
    const args = [...PROMPT, '--max-tokens', '16'];
    const plain = `${EXPECTED.greedy.slice(0, 16).join(' ')} \n`;
    expect(run(args, { NO_COLOR: '1' }).out).toBe(plain);
    const { out, err } = run(args, { FORCE_COLOR: '1' });
    expect(stripVTControlCharacters(out)).toBe(plain);
    const numPasses = Number(/in (\d+) forward passes/.exec(err)?.[1]);
    // Each pass opens its colour, [3Nm, and closes it, [39m.
    expect(out.split('\u001b[39m')).toHaveLength(1 + numPasses);
  });

  it.each<{ args: string[]; code: number; says: string }>([
    { args: ['--temperature', '2.1', 'x'], code: 2, says: 'from 0 to 2; got "2.1"' },
    { args: ['--model', MODEL, 'x'], code: 2, says: 'no tokenizer' },
    { args: ['--model', 'no/such/folder', 'x'], code: 1, says: 'no/such/folder' },
  ])('says in one sentence what is wrong and ends with $code: $says', ({ args, code, says }) => {
    const result = run(args);
    expect(result.code).toBe(code);
    expect(result.out).toBe('');
    expect(result.err).toContain(says);
    expect(result.err.trimEnd().split('\n')).toHaveLength(1);
  });
});
