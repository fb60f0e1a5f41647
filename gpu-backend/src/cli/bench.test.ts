import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { soloEngine } from '../decode/solo-engine.ts';
import { DEFAULT_CUDA_OPTIONS } from '../device/cuda/options.ts';
import type { ModelSession } from '../device/device.ts';
import { namedPolicy } from '../engine/planner/simulated-policies.ts';
import { simulate } from '../engine/planner/simulation.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { PROMPT } from '../engine/testing.ts';
import { fixturePath, temporaryFolder } from '../model/testing/temporary-folder.ts';
import { bench } from './bench.ts';
import { benchDecode } from './bench/decode.ts';
import { recordTexts } from './bench/simulate.ts';
import { measured, openLaw, openSingleRow, openSubject } from './bench/subject.ts';
import type { Measured } from './bench/subject.ts';
import { decodeText } from './bench/texts.ts';
import { FlagError } from './flags.ts';

const FLAGS = {
  modelPath: fixturePath('qwen3-tidar'),
  shape: undefined,
  numThreads: 1,
  device: 'c-api',
  precision: undefined,
  cuda: DEFAULT_CUDA_OPTIONS,
} as const;
const OPTIONS = {
  prompts: [PROMPT, PROMPT.slice(3)],
  draftLengths: [2, 4],
  maxTokens: 24,
  sampling: PLAIN_SAMPLING,
  within: 10,
  timeLimitMs: 0,
};

let law: Measured;
let singleRow: Measured;
beforeAll(async () => {
  const subject = openSubject(FLAGS);
  law = await openLaw(subject, FLAGS);
  singleRow = await openSingleRow(subject, FLAGS);
});
afterAll(async () => {
  await law.session.dispose();
  await singleRow.session.dispose();
});

describe('bench decode', () => {
  it('counts tokens per forward pass without prefill: plain decoding is exactly 1', async () => {
    const { contenders, ...result } = await benchDecode(law, singleRow, OPTIONS);
    expect(contenders.map(({ name }) => name)).toEqual([
      'ar, single row',
      'ar, same law',
      'dense 2',
      'dense 4',
      'sparse 4',
      'branches 4',
      'two-pass 4',
      'auto',
    ]);
    const [single, plain, short, long] = contenders;
    expect(single).toMatchObject({ tokensPerForward: 1, rowsPerForward: 1, speedup: { median: 1 } });
    expect(plain).toMatchObject({ tokensPerForward: 1, rowsPerForward: 2 });
    expect(short!.tokensPerForward).toBeGreaterThan(1.2);
    expect(long!.tokensPerForward).toBeGreaterThan(short!.tokensPerForward);
    for (const one of contenders) {
      expect(one.shareOutside).toBeGreaterThan(0);
      expect(one.shareOutside).toBeLessThan(1);
      expect(one.natsPerToken).toBeCloseTo(plain!.natsPerToken!, 4);
      if (one !== single) expect(one.natsPerToken).toBe(plain!.natsPerToken);
    }
    expect(result).toMatchObject({ numRounds: 1, stoppedBy: 'time limit', numTexts: 2, numOtherTexts: 0 });
    expect(result.ceiling).toBeGreaterThan(0);
  });

  it('fails where a decoder’s tokens are not those of plain decoding', async () => {
    const broken = measured(withBrokenRows(law.timed), {}, 'in-domain');
    await expect(benchDecode(broken, singleRow, OPTIONS)).rejects.toThrowError('dense 4 gave other tokens');
  });

  it('has no ceiling for sampled text, whose drafts’ fate no recording knows', async () => {
    const sampling = { ...PLAIN_SAMPLING, temperature: 0.8, seed: 1n };
    const { ceiling, contenders } = await benchDecode(law, singleRow, { ...OPTIONS, sampling });
    expect(ceiling).toBeUndefined();
    expect(contenders[1]!.tokensPerForward).toBe(1);
  });
});

/** A device whose rows are wrong where there are many. */
function withBrokenRows(device: ModelSession): ModelSession {
  const { config, numBytesPerColumn, maxCandidates } = device;
  return {
    config,
    numBytesPerColumn,
    maxCandidates,
    createCache: (numSlots, capacity) => device.createCache(numSlots, capacity),
    dispose: () => Promise.resolve(),
    run: async (cache, batch) => {
      const output = await device.run(cache, batch);
      if (batch.numRows <= 12) return output;
      return {
        candidates: (index) => output.candidates(index),
        logits: (index) => output.logits(index).map((logit, id) => (id === 9 ? 99 : logit)),
      };
    },
  };
}

describe('what simulate records', () => {
  it('decodes in as many dense passes as the engine does', async () => {
    const sequences = await recordTexts(law.session, OPTIONS.prompts, 24);
    const texts = sequences.map(({ numTokens, blocks }) => ({
      numTokens,
      block: (known: number) => blocks[known]!,
    }));
    const simulated = simulate(texts, namedPolicy('dense', 4), {
      numSequences: 1,
      maxMaskTokens: 4,
      milliseconds: () => 1,
    });
    const engine = soloEngine(law.session);
    let numPasses = 0;
    for (const promptIds of OPTIONS.prompts) {
      const decoder = { type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 } as const;
      const options = { promptIds, maxTokens: 24, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
      numPasses += (await decodeText(engine, law.timed, options)).numPasses;
    }
    engine.dispose();
    expect(simulated.numSteps).toBe(numPasses);
  });
});

describe('the bench command', () => {
  const SCRIPT = fileURLToPath(new URL('./bench.ts', import.meta.url));
  const MODEL = ['--model', fixturePath('llama-tidar')];
  const run = (args: readonly string[]) =>
    spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });
  const DECODE = ['decode', ...MODEL, '--max-tokens', '8', '--draft-lengths', '3,4', '--time-limit', '0'];
  const DECODE_LINE =
    /^tidar\/ar \d+\.\d\d {2}t\/nfe \d+\.\d\d {2}plan\/dense \d+\.\d\d {2}efficiency \d+\.\d\d$/;

  it.each([
    [DECODE, DECODE_LINE],
    [
      ['batch', ...MODEL, '--max-tokens', '8', '--batches', '1,3', '--within', '9', '--time-limit', '0.5'],
      /^worst tidar\/ar \d+\.\d\d ±(\d+\.\d\d|\?)$/,
    ],
    [
      ['context', ...MODEL, '--max-tokens', '8', '--contexts', '64,128', '--time-limit', '0'],
      /^tidar\/ar \d+\.\d\d \(64 tokens\) \d+\.\d\d \(128 tokens\)$/,
    ],
    [
      ['slots', ...MODEL, '--rows', '2,8', '--sequences', '1,4', '--contexts', '64', '--time-limit', '0'],
      /^c-api\/node-binding \d+\.\d\d$/,
    ],
  ])('ends %j with the line that scripts read, and draws', (args, lastLine) => {
    const plot = join(temporaryFolder(), 'plot.svg');
    const { stdout, stderr, status } = run([...args, '--plot', plot]);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(lastLine);
    expect(readFileSync(plot, 'utf8')).toContain(`npm run bench -- ${args[0]}`);
  });

  it('tells the same as one JSON object, on either device and with weights in fewer bits', () => {
    const { stdout } = run([...DECODE, '--device', 'node-binding', '--quantize', 'int8', '--json']);
    expect(stdout).toContain('llama-tidar in int8');
    const json = JSON.parse(stdout) as { lastLine: string; machine: string };
    expect(json.lastLine).toMatch(DECODE_LINE);
    expect(json.machine).toContain('node-binding');
  });

  it('simulates on the demo model’s acceptance where no recording is named, and says so', () => {
    const { stdout } = run(['simulate', '--repetitions', '1']);
    expect(stdout).toMatch(
      /^SIMULATION: no model ran. Acceptance recorded from the demo model .*\(20 texts\)/,
    );
  });

  it.each([
    [['decode', '--nothing'], '--nothing'],
    [['peers', '--nothing'], '--nothing'],
    [['batch', 'all'], '"all"'],
    [['everything'], '"everything"'],
    [['decode', '--shape', '7b'], '"7b"'],
    [['decode', '--shape', '100m', '--model', 'x'], '--model or --shape'],
    [['decode', '--device', 'gpu'], '"gpu"'],
    [['slots', '--device', 'c-api'], '--device'],
    [['batch', '--batches', '4,2'], '"4,2"'],
    [['context', '--within', '0'], '"0"'],
    [['decode', '--shape', '100m', '--temperature', '1'], '--temperature'],
    [['decode', '--model', 'nowhere'], '"nowhere"'],
  ])('refuses %j by name', async (args, named) => {
    const refusal: unknown = await bench(args).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(FlagError);
    expect(String(refusal)).toContain(named);
  });

  it('ends with exit code 2 and one sentence where a flag is wrong', () => {
    const { stdout, stderr, status } = run(['simulate', '--nothing']);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toBe("bench: Unknown option '--nothing'; --help lists the flags.\n");
  });

  it('tells what it can do, and what each subcommand can', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const names = ['decode', 'batch', 'context', 'slots', 'peers', 'simulate'];
    await bench([]);
    for (const name of names) await bench([name, '--help']);
    const [all, ...each] = write.mock.calls.map(([text]) => String(text));
    write.mockRestore();
    names.forEach((name, at) => {
      expect(all).toContain(`npm run bench -- ${name}`);
      expect(each[at]).toContain(`npm run bench -- ${name}`);
    });
  });
});
