import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeJson, copyOfFixture, fixturePath } from '../model/testing/temporary-folder.ts';
import { parseServerConfig } from '../server/config.ts';
import { FOLDER_FLAGS, folderArguments, parseFolderFlags } from './folder-flags.ts';
import { parseFlags } from './flags.ts';
import { parseStartOptions } from './start/options.ts';

interface Answer {
  readonly tokenIds: number[];
  readonly usage: { numForwardPasses: number };
}

function generate(folder: string, promptIds: readonly number[], ...args: string[]): Answer {
  const all = ['--model', folder, '--prompt-ids', promptIds.join(), '--json', '--ignore-eos', ...args];
  const child = spawnSync(process.execPath, ['gpu-backend/src/cli/generate.ts', ...all], {
    encoding: 'utf8',
  });
  expect(child.stderr).toBe('');
  return JSON.parse(child.stdout) as Answer;
}

const golden = (name: string) =>
  JSON.parse(readFileSync(join(fixturePath(name), 'expected.json'), 'utf8')) as {
    prompt: number[];
    greedy: number[];
    draftLength: number;
    steps: { accepted: number }[];
  };

describe('the flags of a model folder', () => {
  it('generate gives the golden greedy tokens of Nemotron-Labs-Diffusion, in the golden number of passes', () => {
    const { prompt, greedy, draftLength, steps } = golden('nemotron-tidar');
    const args = ['--max-tokens', String(greedy.length), '--draft-length', String(draftLength)];
    const answer = generate(fixturePath('nemotron-tidar'), prompt, ...args);
    expect(answer.tokenIds).toEqual(greedy);
    // The prompt's pass decides the first token already, so that the last listed step may not be needed.
    expect(steps.length - (answer.usage.numForwardPasses - 1)).toBeOneOf([0, 1]);
    expect(
      generate(fixturePath('nemotron-tidar'), prompt, '--decode', 'ar', ...args.slice(0, 2)).tokenIds,
    ).toEqual(greedy);
  });

  it('serve a TiDAR folder in plain qwen3 form: the golden greedy tokens, in drafts', () => {
    const { prompt, greedy } = golden('qwen3-tidar');
    const folder = copyOfFixture('qwen3-tidar');
    changeJson(join(folder, 'config.json'), { tidar: undefined });
    const length = ['--max-tokens', String(greedy.length)];
    const fields = ['--mask-token', '47', '--block-size', '4'];
    const drafted = generate(folder, prompt, ...length, ...fields, '--plan', 'dense');
    expect(drafted.tokenIds).toEqual(greedy);
    expect(drafted.usage.numForwardPasses).toBeLessThan(greedy.length);
    const plain = generate(folder, prompt, ...length);
    expect(plain.tokenIds).toEqual(greedy);
    expect(plain.usage.numForwardPasses).toBe(greedy.length);
  });

  it('come through npm start to the backend as they were given, the adapter from where the person is', () => {
    const args = ['--mask-token', '3', '--block-size', '8', '--adapter-rows', 'all', '--quantize', 'int4'];
    const tools = ['--tool-format', 'hermes'];
    const start = parseStartOptions(['--model', 'm', '--adapter', '/a/b', ...args, ...tools], {});
    const flags = folderArguments(start!.folderOptions);
    const backend = parseServerConfig(['--model', 'm', ...flags], { LEASE_SECRETS: 'x'.repeat(40) });
    const expected = { maskTokenId: 3, blockSize: 8, adapter: '/a/b', adapterRows: 'all', quantize: 'int4' };
    expect(backend).toMatchObject({ ...expected, toolFormat: 'hermes' });
    const env = { LEASE_SECRETS: 'x'.repeat(40), MODEL: 'm', MASK_TOKEN: '5', ADAPTER: 'none' };
    expect(parseServerConfig([], env)).toMatchObject({ maskTokenId: 5, adapter: 'none' });
    expect(() => parseServerConfig(['--model', 'm', '--block-size', '0'], env)).toThrow(
      '--block-size (BLOCK_SIZE)',
    );
  });

  it('survive being read and written again', () => {
    const adapter = { adapter: 'none', adapterRows: 'masks' } as const;
    const options = {
      maskTokenId: 0,
      blockSize: 32,
      ...adapter,
      quantize: 'int8',
      toolFormat: 'none',
    } as const;
    expect(parseFolderFlags(parseFlags(folderArguments(options), FOLDER_FLAGS))).toEqual(options);
    expect(folderArguments(parseFolderFlags(parseFlags([], FOLDER_FLAGS)))).toEqual([]);
  });
});
