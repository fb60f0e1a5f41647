import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { PLAN_NAMES } from '../decode/decoder.ts';
import { PLANNER_FILE } from '../decode/planner-file.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { writeTruncated } from '../model/testing/truncated-folder.ts';
import { DEMO_MODEL } from './open-model.ts';

const SCRIPT = fileURLToPath(new URL('./generate.ts', import.meta.url));
const FIXTURE = fileURLToPath(new URL('../../../test/fixtures/llama-tidar', import.meta.url));
/** A copy: what the planner learns is kept in it. */
const MODEL = mkdtempSync(join(tmpdir(), 'tidar-generate-'));
cpSync(FIXTURE, MODEL, { recursive: true });
afterAll(() => rmSync(MODEL, { recursive: true }));
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
    isPrefill: boolean;
    drafting?: { numPasses: number; milliseconds: number };
  }[];
  seed: string;
  logprobs?: { tokenId: number; logprob: number; top: { tokenId: number; logprob: number }[] }[];
}

function printed(args: readonly string[]): Printed {
  const { code, out, err } = run([...args, '--json']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return answerIn(out);
}

/** The demo model's answer in a form; wasm may have something to say at the standard error stream. */
function formed(...args: string[]): Printed {
  const question = 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?';
  const { code, out, err } = run([question, '--plan', 'dense', '--max-tokens', '60', '--json', ...args]);
  expect({ code, err }).toMatchObject({ code: 0 });
  return answerIn(out);
}

function answerIn(out: string): Printed {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Printed;
}

describe('the command generate', () => {
  it('prints one JSON object as its last line: the golden tokens, and counts that add up', () => {
    const { tokenIds, finishReason, usage, steps } = printed([
      ...PROMPT,
      ...['--max-tokens', '32', '--plan', 'dense'],
    ]);
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

  it.each(PLAN_NAMES)('gives the golden tokens by the plan %s', (plan) => {
    const args = ['--max-tokens', '32', '--plan', plan, '--draft-length', '9'];
    const { tokenIds, steps, usage } = printed([...PROMPT, ...args]);
    expect(tokenIds).toEqual(EXPECTED.greedy);
    expect(usage.numForwardPasses).toBe(steps.length);
  });

  it('gives the golden tokens by a draft model, whose passes it tells apart, and refuses one of other tokens', () => {
    const folder = writeTruncated(FIXTURE, temporaryFolder(), 1);
    const args = [...PROMPT, '--max-tokens', '32', '--draft-model', folder, '--draft-length', '3'];
    const { tokenIds, steps } = printed(args);
    expect(tokenIds).toEqual(EXPECTED.greedy);
    expect(steps.slice(1).map(({ drafting }) => drafting?.numPasses)).toContain(3);
    const { err } = run(args);
    expect(err).toContain('(speculative, draft length 3; greedy)');
    expect(err).toMatch(/^beside them \d+ passes of the draft model, [\d.]+ ms$/m);
    const other = run([...PROMPT, '--draft-model', DEMO_MODEL]);
    expect(other).toMatchObject({ code: 1, out: '' });
    expect(other.err).toContain('The draft model demo cannot draft for');
    expect(run([...PROMPT, '--draft-model', 'no/such']).err).toContain('a model folder with --draft-model');
  });

  it.each([
    ['--strategy confidence --tokens-per-pass 4', 'diffusion, blocks of 8, confidence, 4 a pass'],
    ['--strategy left-to-right --tokens-per-pass 4', 'diffusion, blocks of 8, left-to-right, 4 a pass'],
    ['--strategy threshold --threshold 1e-9', 'diffusion, blocks of 8, threshold, those of 1e-9 or more'],
  ])('decodes by block diffusion: %s', (args, described) => {
    const all = [...PROMPT, '--max-tokens', '16', '--ignore-eos', '--block-length', '8', ...args.split(' ')];
    const { tokenIds, steps } = printed(all);
    expect(tokenIds).toHaveLength(16);
    expect(steps.length).toBe(args.includes('threshold') ? 2 : 4);
    expect(run(all).err).toContain(`(${described}; greedy)`);
  });

  it("lays out the paper's rows where a draft length stands alone", () => {
    const { steps } = printed([...PROMPT, '--max-tokens', '32', '--draft-length', '3']);
    const full = steps.filter(({ isPrefill }) => !isPrefill).slice(0, 4);
    for (const { numRows } of full) expect(numRows).toBe(3 * (1 + 3));
  });

  it('measures the device once for a model, says so, and shows plan and rows of every pass', () => {
    const folder = temporaryFolder();
    cpSync(FIXTURE, folder, { recursive: true });
    rmSync(join(folder, PLANNER_FILE), { force: true });
    const args = ['--model', folder, '--prompt-ids', '1,2,3', '--max-tokens', '16'];
    const first = run(args);
    expect(first.err).toContain('note: measured');
    expect(existsSync(join(folder, PLANNER_FILE))).toBe(true);
    const second = run(args);
    expect(second.err).not.toContain('note:');
    expect(second.err).toContain('plan auto, up to 4 drafts');
    const [, rows = ''] = /^rows in each pass: ([\d ]+)$/m.exec(second.err) ?? [];
    const [, accepted = ''] = /^accepted of them: +([\d ]+)$/m.exec(second.err) ?? [];
    expect(rows.split(' ')).toHaveLength(accepted.split(' ').length);
    expect(run([...args, '--measure']).err).toContain('note: measured');
    expect(second.out).toBe(first.out);
  });

  it('ends the text where it is told to: at stop ids, not before the fewest tokens, or never', () => {
    const stop = EXPECTED.greedy[2]!;
    const args = [...PROMPT, '--max-tokens', '20', '--decode', 'ar', '--stop-ids', String(stop)];
    const end = EXPECTED.greedy.indexOf(stop) + 1;
    expect(printed(args)).toMatchObject({ tokenIds: EXPECTED.greedy.slice(0, end), finishReason: 'stop' });
    const later = printed([...args, '--min-tokens', '12']).tokenIds;
    expect(later.length).toBeGreaterThanOrEqual(12);
    expect(later.slice(0, 11)).not.toContain(stop);
    const eos = printed([...PROMPT, '--max-tokens', '20', '--decode', 'ar', '--logit-bias', '2:100']);
    expect(eos).toMatchObject({ tokenIds: [2], finishReason: 'stop' });
    const on = printed([...PROMPT, '--max-tokens', '5', '--logit-bias', '2:100', '--ignore-eos']);
    expect(on).toMatchObject({ tokenIds: [2, 2, 2, 2, 2], finishReason: 'length' });
  });

  it.each(['presence', 'frequency', 'repetition'])('keeps a %s penalty, with either decoder', (name) => {
    const plain = [...PROMPT, '--max-tokens', '60', '--temperature', '2', '--seed', '5'];
    const args = [...plain, `--${name}-penalty`, '2'];
    const drafted = printed(args).tokenIds;
    expect(drafted).toEqual(printed([...args, '--decode', 'ar']).tokenIds);
    expect(drafted).not.toEqual(printed(plain).tokenIds);
  });

  it('prints log-probabilities of each token and of the likeliest, first of which a greedy text takes', () => {
    const { logprobs, tokenIds, steps } = printed([...PROMPT, '--max-tokens', '9', '--logprobs', '3']);
    expect(logprobs!.map(({ tokenId }) => tokenId)).toEqual(tokenIds);
    for (const { tokenId, logprob, top } of logprobs!) {
      expect(top.map((each) => each.logprob)).toEqual(
        top.map((each) => each.logprob).toSorted((a, b) => b - a),
      );
      expect(top).toHaveLength(3);
      expect(top[0]).toEqual({ tokenId, logprob });
      expect(logprob).toBeLessThan(0);
    }
    expect(steps[0]).not.toHaveProperty('logprobs');
    expect(printed([...PROMPT, '--max-tokens', '2']).logprobs).toBeUndefined();
    const { err } = run([...PROMPT, '--max-tokens', '9', '--logprobs', '1']);
    expect(err.match(/^ +-\d+\.\d{3} {2}\d+ {2}of {2}\d+ -\d/gm)).toHaveLength(9);
  });

  it('writes text of the form that is asked for', () => {
    expect(formed('--regex', '[0-9]{3}-[a-c]').text).toMatch(/^\d{3}-[a-c]$/);
    const folder = temporaryFolder();
    const [schema, grammar] = [join(folder, 'schema.json'), join(folder, 'a.ebnf')];
    const properties = {
      name: { enum: ['Ana', 'Tom'] },
      apples: { type: 'integer', minimum: 3, maximum: 60 },
    };
    const required = ['name', 'apples'];
    writeFileSync(
      schema,
      JSON.stringify({ type: 'object', properties, required, additionalProperties: false }),
    );
    const { name, apples } = JSON.parse(formed('--json-schema', schema).text) as Record<string, unknown>;
    expect(['Ana', 'Tom']).toContain(name);
    expect(apples).toBeGreaterThanOrEqual(3);
    writeFileSync(grammar, 'root ::= "In all " [0-9] [0-9]');
    expect(formed('--grammar', grammar).text).toMatch(/^In all \d\d$/);
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
    { args: ['--model', MODEL, '--prompt-ids', '1', '--regex', 'a'], code: 2, says: 'no tokenizer' },
    { args: ['--json-schema', 'no/such/file', 'x'], code: 2, says: 'no/such/file cannot be read (ENOENT)' },
    { args: ['--json-schema', SCRIPT, 'x'], code: 2, says: 'is not JSON' },
    {
      args: ['--model', MODEL, '--prompt-ids', '1', '--logit-bias', '48:1'],
      code: 2,
      says: 'token ids below 48',
    },
    { args: ['--model', 'no/such/folder', 'x'], code: 1, says: 'no/such/folder' },
  ])('says in one sentence what is wrong and ends with $code: $says', ({ args, code, says }) => {
    const result = run(args);
    expect(result.code).toBe(code);
    expect(result.out).toBe('');
    expect(result.err).toContain(says);
    expect(result.err.trimEnd().split('\n')).toHaveLength(1);
  });
});
