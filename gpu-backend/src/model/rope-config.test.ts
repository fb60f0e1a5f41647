import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModelConfig } from './config.ts';
import { fixturePath } from './testing/temporary-folder.ts';

const readConfig = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(fixturePath(name), 'config.json'), 'utf8')) as Record<string, unknown>;

const LLAMA = readConfig('llama-tidar');
const NEMOTRON = readConfig('nemotron-tidar');

describe('positions of a model config', () => {
  it('gives Nemotron-Labs-Diffusion its rotary stretch, its scaled queries and its mask', () => {
    expect(parseModelConfig(NEMOTRON, 'config.json')).toMatchObject({
      architecture: 'nemotron_labs_diffusion',
      ropeTheta: 10000,
      ropeScaling: {
        type: 'yarn',
        factor: 4,
        betaFast: 32,
        betaSlow: 1,
        originalMaxPositions: 16,
        attentionFactor: 1,
        truncate: true,
      },
      queryScaling: { beta: 0.1, originalMaxPositions: 16 },
      eosTokenIds: [11],
      tidar: { maskTokenId: 47, blockSize: 8 },
    });
    const bare = { ...NEMOTRON, rope_parameters: undefined };
    expect(() => parseModelConfig(bare, 'config.json')).toThrow('config.json: rope_parameters is missing; ');
  });

  it.each([
    [
      'linear',
      { type: 'linear', factor: 4 },
      { ropeScaling: { type: 'linear', factor: 4 }, maxPositions: 256 },
    ],
    ['dynamic, which begins past the context', { rope_type: 'dynamic', factor: 4 }, { maxPositions: 256 }],
    [
      'llama3',
      {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
      {
        ropeScaling: {
          type: 'llama3',
          factor: 8,
          lowFreqFactor: 1,
          highFreqFactor: 4,
          originalMaxPositions: 64,
        },
      },
    ],
    [
      'yarn, which makes the context longer',
      { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 256 },
      { maxPositions: 1024, ropeScaling: { attentionFactor: 0.1 * Math.log(4) + 1 } },
    ],
    [
      'yarn with an attention factor of its own',
      { rope_type: 'yarn', factor: 4, attention_factor: 1.5, truncate: false },
      { ropeScaling: { attentionFactor: 1.5, originalMaxPositions: 256, truncate: false } },
    ],
  ])('knows rotary scaling: %s', (_, scaling, expected) => {
    for (const changes of [{ rope_scaling: scaling }, { rope_parameters: { ...scaling, rope_theta: 5e5 } }]) {
      expect(parseModelConfig({ ...LLAMA, ...changes }, 'config.json')).toMatchObject(expected);
    }
  });

  it("ends Mistral's context where its window would begin to hide tokens", () => {
    const mistral = { ...LLAMA, model_type: 'mistral', max_position_embeddings: 32768 };
    const contextOf = (changes: object): number =>
      parseModelConfig({ ...mistral, ...changes }, 'config.json').maxPositions;
    expect(contextOf({})).toBe(4096);
    expect(contextOf({ sliding_window: null })).toBe(32768);
    expect(contextOf({ sliding_window: 8192 })).toBe(8192);
    expect(contextOf({ sliding_window: 1e6 })).toBe(32768);
  });
});
