import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  changeJson,
  copyOfFixture,
  fixturePath,
} from '../../gpu-backend/src/model/testing/temporary-folder.ts';
import { BackendProcess, readEvents, stepsOf, tokenIdsOf } from '../support/backend-process.ts';

interface Golden {
  readonly prompt: number[];
  readonly draftLength: number;
  readonly greedy: number[];
  readonly steps: { readonly accepted: number }[];
}

const golden = (name: string): Golden =>
  JSON.parse(readFileSync(join(fixturePath(name), 'expected.json'), 'utf8')) as Golden;

/** The greedy tokens that a backend of its own streams, and how many each pass gave. */
async function served(
  modelPath: string,
  { prompt, greedy, draftLength }: Golden,
  args: readonly string[] = [],
) {
  const backend = await BackendProcess.start({ modelPath, args });
  try {
    const body = {
      request_id: 'golden',
      model: backend.model.id,
      input: { type: 'tokens', token_ids: prompt },
      // Room for one more block: the last pass is as large as the others.
      max_tokens: greedy.length + draftLength,
      decoder: { type: 'tidar', plan: 'dense', draft_length: draftLength },
      ignore_eos: true,
      sampling: { temperature: 0, seed: '1' },
    };
    const response = await backend.post(JSON.stringify(body));
    if (!response.ok) throw new Error(await response.text());
    const events = await readEvents(response);
    const { output, model } = backend;
    return {
      tokenIds: tokenIdsOf(events).slice(0, greedy.length),
      accepted: stepsOf(events).map(({ token_ids }) => token_ids.length),
      fingerprint: model.fingerprint,
      output,
    };
  } finally {
    await backend.stop();
  }
}

describe('a backend', () => {
  it('serves Nemotron-Labs-Diffusion with its adapter in one pass: golden tokens, golden accepted counts', async () => {
    const expected = golden('nemotron-tidar');
    const path = fixturePath('nemotron-tidar');
    const found = await served(path, expected);
    expect(found.tokenIds).toEqual(expected.greedy);
    // The prompt's pass decides the first token, which the oracle counts with the next.
    const accepted = expected.steps.map((step) => step.accepted);
    expect(found.accepted.slice(1, accepted.length)).toEqual(accepted.slice(0, -1));
    expect(found.output).toMatch(/^memory +weights \d.* KiB, cache .* for each 1,000 tokens of context/m);
    const without = await served(path, expected, ['--adapter', 'none']);
    expect(without.tokenIds).toEqual(expected.greedy);
    expect(without.fingerprint).not.toBe(found.fingerprint);
  });

  it('serves a TiDAR folder in plain qwen3 form by flags', async () => {
    const expected = golden('qwen3-tidar');
    const folder = copyOfFixture('qwen3-tidar');
    changeJson(join(folder, 'config.json'), { tidar: undefined });
    const found = await served(folder, expected, ['--mask-token', '47', '--block-size', '4']);
    expect(found.tokenIds).toEqual(expected.greedy);
    expect(Math.max(...found.accepted)).toBeGreaterThan(1);
  });
});
