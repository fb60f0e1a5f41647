import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeToolChatModel } from '../../../test/support/tool-chat-model.ts';
import {
  changeJson,
  copyOfFixture,
  fixturePath,
  temporaryFolder,
} from '../model/testing/temporary-folder.ts';
import { writeRandomModel } from './random-model/write.ts';
import { DEMO_MODEL } from './open-model.ts';
import { inspectFolder } from './inspect/inspect.ts';
import type { Inspection, ModelFacts } from './inspect/inspect.ts';
import { reportLines } from './inspect/report.ts';

const ENOUGH = 2 ** 40;
const inspect = (folder: string): Inspection => inspectFolder(folder, {}, ENOUGH);
const report = (folder: string): string => reportLines(inspect(folder)).join('\n');

function modelOf(folder: string): ModelFacts {
  const { model } = inspect(folder);
  if (model === undefined) throw new Error('the folder was not understood');
  return model;
}

describe('an inspection', () => {
  it.each([
    ['llama-tidar', 18_592, 'mask token 47, block size 4'],
    ['qwen2-tidar', 18_720, 'mask token 47, block size 4'],
    ['qwen3-tidar', 26_336, 'mask token 47, block size 4'],
    ['nemotron-tidar', 26_272, 'mask token 47, block size 8'],
  ])('tells of %s what it is', (name, numParameters, tidar) => {
    const text = report(fixturePath(name));
    expect(modelOf(fixturePath(name)).numParameters).toBe(numParameters);
    expect(text).toContain(tidar);
    expect(text).toContain('would fail     nothing that can be seen');
    expect(inspect(fixturePath(name)).problems).toEqual([]);
  });

  it('tells of the adapter, the rotary stretch, the tokenizer and the template', () => {
    const nemotron = report(fixturePath('nemotron-tidar'));
    expect(nemotron).toContain('LoRA of rank 4 on 2 weights, for mask rows alone');
    expect(nemotron).toContain('yarn × 4 from 16');
    const demo = report(DEMO_MODEL);
    expect(demo).toContain('2048 tokens, 6 of them added, ends at <|end|>');
    expect(demo).toContain('template       chat template, no tools that can be called');
    expect(nemotron).toContain('tokenizer      none');
    const ministral = makeToolChatModel('ministral');
    onTestFinished(() => ministral.remove());
    expect(report(ministral.path)).toContain('tools called in the form mistral-args, thoughts in [THINK]');
  });

  it('counts weights in fewer bits as they are held, and says so', () => {
    const folder = fixturePath('qwen3-tidar');
    const { model } = inspectFolder(folder, { quantize: 'int4' }, ENOUGH);
    const plain = modelOf(folder).memory;
    expect(model!.memory.cpu.weights).toBeLessThan(0.4 * plain.cpu.weights);
    expect(model!.memory.halfPrecision.weights).toBeLessThan(0.6 * plain.halfPrecision.weights);
    const lines = reportLines(inspectFolder(folder, { quantize: 'int4' }, ENOUGH)).join('\n');
    expect(lines).toContain('memory         CPU, float32, products’ weights in int4: ');
    expect(reportLines(inspect(folder)).join('\n')).not.toContain('int4');
  });

  it('counts memory by what the weights are, not by what the files hold', () => {
    const json = {
      model_type: 'qwen3',
      vocab_size: 512,
      hidden_size: 64,
      num_hidden_layers: 3,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 16,
      intermediate_size: 96,
      tie_word_embeddings: false,
    };
    const needs = (['BF16', 'F16', 'F32'] as const).map((dtype) => {
      const folder = temporaryFolder();
      writeRandomModel(folder, json, dtype);
      const model = modelOf(folder);
      expect(model.dtypes).toEqual({ [dtype]: model.numParameters });
      expect(model.numWeightBytes).toBe(model.numParameters * (dtype === 'F32' ? 4 : 2));
      return model.memory;
    });
    const table = 512 * 64;
    for (const { cpu, halfPrecision } of needs) {
      expect(cpu.weights).toBe(4 * (halfPrecision.weights / 2 - table));
      // Keys and values of 3 layers, 2 heads of 16, in float32.
      expect(cpu.cachePerThousandTokens).toBe(1000 * 2 * 3 * 2 * 16 * 4);
      expect(halfPrecision.cachePerThousandTokens * 2).toBe(cpu.cachePerThousandTokens);
    }
  });

  it.each<[string, (folder: string) => void, string[]]>([
    [
      'every feature that is missing',
      (f) => changeJson(join(f, 'config.json'), { mlp_bias: true, num_experts: 8 }),
      ['mlp_bias is true', 'num_experts is 8'],
    ],
    [
      'an unknown architecture',
      (f) => changeJson(join(f, 'config.json'), { model_type: 'mamba' }),
      ['"mamba"'],
    ],
    [
      'weights that are missing',
      (f) => rmSync(join(f, 'model.safetensors')),
      ['model.safetensors: the file is'],
    ],
    [
      'a spoiled tokenizer',
      (f) => writeFileSync(join(f, 'tokenizer.json'), '{'),
      ['tokenizer.json: is not JSON'],
    ],
  ])('names what would fail: %s', (_, spoil, sentences) => {
    const folder = copyOfFixture('llama-tidar');
    spoil(folder);
    const { problems } = inspect(folder);
    for (const sentence of sentences) {
      expect(problems.some((problem) => problem.includes(sentence))).toBe(true);
    }
    expect(problems).toHaveLength(sentences.length);
  });

  it('names, with numbers, memory that is too small', () => {
    const [problem] = inspectFolder(fixturePath('llama-tidar'), {}, 100 * 2 ** 20).problems;
    expect(problem).toMatch(
      /^llama-tidar does not fit: it needs 151 MiB \(weights 72\.6 KiB, .*\), and 100 MiB are free\.$/,
    );
  });
});

describe('npm run inspect', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['gpu-backend/src/cli/inspect.ts', ...args], { encoding: 'utf8' });

  it('prints lines, or an object by --json, and ends with 1 where a start would fail', () => {
    const good = run(fixturePath('nemotron-tidar'));
    expect([good.status, good.stderr]).toEqual([0, '']);
    expect(good.stdout).toMatch(/^folder {9}nemotron-tidar\narchitecture {3}nemotron_labs_diffusion\n/);
    const bad = run(temporaryFolder(), '--json');
    expect(bad.status).toBe(1);
    expect((JSON.parse(bad.stdout) as Inspection).problems).toEqual(['config.json: the file is missing.']);
  });

  it('takes the fields that a plain folder lacks', () => {
    const folder = copyOfFixture('qwen3-tidar');
    changeJson(join(folder, 'config.json'), { tidar: undefined });
    expect(run(folder).stdout).toContain('no diffusion mode');
    expect(run(folder, '--mask-token', '47', '--block-size', '4').stdout).toContain(
      'mask token 47, block size 4',
    );
    expect(run(folder, '--mask-token', '47').stdout).toContain('--mask-token needs --block-size too');
    expect(run(folder, '--mask-token', '48', '--block-size', '4').stdout).toContain('below vocab_size 48');
  });

  it('says how it is called wrongly', () => {
    expect(run().stderr).toBe('inspect: Give one model folder; --help tells more.\n');
    expect(run('a', '--block-size', '0').stderr).toContain(
      '--block-size must be a whole number of 1 or more',
    );
    expect(run('--help').stdout).toContain('npm run inspect -- path/to/folder');
  });
});
