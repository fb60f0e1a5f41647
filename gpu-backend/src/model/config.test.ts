import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { expectedTensors, parseModelConfig } from './config.ts';
import { fixturePath } from './testing/temporary-folder.ts';

const readConfig = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(fixturePath(name), 'config.json'), 'utf8')) as Record<string, unknown>;

const LLAMA = readConfig('llama-tidar');
const QWEN2 = readConfig('qwen2-tidar');
const QWEN3 = readConfig('qwen3-tidar');
const NEMOTRON = readConfig('nemotron-tidar');

/** The error that these changes to a config lead to. */
function refusal(base: Record<string, unknown>, changes: Record<string, unknown>): TidarError {
  try {
    parseModelConfig({ ...base, ...changes }, 'config.json');
  } catch (error) {
    if (error instanceof TidarError) return error;
    throw error;
  }
  throw new Error('the config was accepted');
}

describe('a model config', () => {
  it('is read as Hugging Face writes it', () => {
    expect(parseModelConfig(LLAMA, 'config.json')).toEqual({
      architecture: 'llama',
      vocabSize: 48,
      hiddenSize: 32,
      numLayers: 2,
      numHeads: 4,
      numKeyValueHeads: 2,
      headDim: 8,
      intermediateSize: 56,
      rmsNormEps: 1e-5,
      ropeTheta: 10000,
      tieWordEmbeddings: true,
      maxPositions: 256,
      attentionBias: false,
      queryKeyNorm: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      tidar: { maskTokenId: 47, blockSize: 4 },
    });
  });

  it('gives Qwen2 its biases and Qwen3 its norms', () => {
    expect(parseModelConfig(QWEN2, 'config.json')).toMatchObject({
      attentionBias: true,
      queryKeyNorm: false,
    });
    expect(parseModelConfig(QWEN3, 'config.json')).toMatchObject({
      attentionBias: false,
      queryKeyNorm: true,
    });
  });

  it('takes what transformers takes where the file says nothing', () => {
    const bare = {
      vocab_size: 48,
      hidden_size: 512,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      intermediate_size: 8,
    };
    expect(parseModelConfig({ ...bare, model_type: 'llama' }, 'config.json')).toMatchObject({
      numKeyValueHeads: 4,
      headDim: 128,
      rmsNormEps: 1e-6,
      ropeTheta: 10000,
      tieWordEmbeddings: false,
      maxPositions: 2048,
      bosTokenId: 1,
      eosTokenIds: [2],
    });
    const qwen3 = parseModelConfig({ ...bare, num_attention_heads: 2, model_type: 'qwen3' }, 'config.json');
    expect(qwen3).toMatchObject({
      headDim: 128,
      tieWordEmbeddings: false,
      maxPositions: 32768,
      eosTokenIds: [],
    });
    expect(qwen3).not.toHaveProperty('tidar');
    expect(qwen3).not.toHaveProperty('bosTokenId');
  });

  it.each([
    [
      'the rotary base in rope_parameters',
      { rope_theta: undefined, rope_parameters: { rope_theta: 5e5, rope_type: 'default' } },
      { ropeTheta: 5e5 },
    ],
    ['a list of end tokens', { eos_token_id: [2, 3] }, { eosTokenIds: [2, 3] }],
    ['no end token', { eos_token_id: null }, { eosTokenIds: [] }],
    [
      'switched-off features',
      {
        sliding_window: null,
        rope_scaling: null,
        attention_bias: false,
        mlp_bias: false,
        quantization_config: null,
        partial_rotary_factor: 1,
      },
      {},
    ],
    ['rope_scaling of type default', { rope_scaling: { type: 'default' } }, {}],
    ['full attention in every layer', { layer_types: ['full_attention', 'full_attention'] }, {}],
    ['fields that change nothing', { pretraining_tp: 1, use_cache: true, torch_dtype: 'bfloat16' }, {}],
  ])('accepts %s', (_, changes, expected) => {
    expect(parseModelConfig({ ...LLAMA, ...changes }, 'config.json')).toMatchObject(expected);
  });

  it('lets Qwen write a sliding window that is switched off', () => {
    const json = { ...QWEN2, sliding_window: 4096, use_sliding_window: false, max_window_layers: 28 };
    expect(parseModelConfig(json, 'config.json').architecture).toBe('qwen2');
  });

  it('lists the supported architectures when asked for another', () => {
    const error = refusal(LLAMA, { model_type: 'mamba' });
    expect(error.code).toBe('unsupported_model');
    expect(error.message).toBe(
      'config.json: model_type is "mamba", which is not implemented; supported: llama, qwen2, qwen3, mistral, ' +
        'ministral3, nemotron_labs_diffusion.',
    );
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ['sliding_window', LLAMA, { sliding_window: 4096 }, '4096'],
    ['use_sliding_window', QWEN2, { use_sliding_window: true, sliding_window: 128 }, 'true'],
    ['layer_types', QWEN3, { layer_types: ['full_attention', 'sliding_attention'] }, 'sliding_attention'],
    ['rope_scaling.rope_type', LLAMA, { rope_scaling: { rope_type: 'longrope', factor: 8 } }, 'longrope'],
    ['rope_scaling.type', LLAMA, { rope_scaling: { type: 'su', factor: 2 } }, 'su'],
    [
      'rope_parameters.llama_4_scaling_beta',
      LLAMA,
      {
        rope_parameters: {
          rope_type: 'yarn',
          factor: 2,
          original_max_position_embeddings: 128,
          llama_4_scaling_beta: 0.1,
        },
      },
      '0.1',
    ],
    ['dlm_paradigm', NEMOTRON, { dlm_paradigm: 'autoregressive' }, 'autoregressive'],
    ['sliding_window', NEMOTRON, { sliding_window: 4096 }, '4096'],
    [
      'rope_parameters.partial_rotary_factor',
      LLAMA,
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      '0.5',
    ],
    ['rope_parameters.factor', LLAMA, { rope_parameters: { factor: 4 } }, '4'],
    [
      'rope_parameters.full_attention',
      QWEN3,
      { rope_parameters: { full_attention: { rope_theta: 1e4 } } },
      '10000',
    ],
    ['partial_rotary_factor', LLAMA, { partial_rotary_factor: 0.25 }, '0.25'],
    ['attention_bias', LLAMA, { attention_bias: true }, 'true'],
    ['attention_bias', QWEN3, { attention_bias: true }, 'true'],
    ['attention_bias', QWEN2, { attention_bias: false }, 'false'],
    ['mlp_bias', LLAMA, { mlp_bias: true }, 'true'],
    ['hidden_act', LLAMA, { hidden_act: 'gelu' }, 'gelu'],
    ['quantization_config', LLAMA, { quantization_config: { quant_method: 'gptq' } }, 'gptq'],
    ['num_local_experts', LLAMA, { num_local_experts: 8 }, '8'],
    ['num_experts', QWEN3, { num_experts: 128 }, '128'],
    ['attn_logit_softcapping', LLAMA, { attn_logit_softcapping: 50 }, '50'],
    ['final_logit_softcapping', LLAMA, { final_logit_softcapping: 30 }, '30'],
    ['logits_scaling', LLAMA, { logits_scaling: 8 }, '8'],
  ])('refuses %s by name, with what it found and what is supported', (field, base, changes, found) => {
    const error = refusal(base, changes);
    expect(error.code).toBe('unsupported_model');
    expect(error.message).toMatch(/^config\.json: .* which is not implemented; supported: .*\.$/);
    expect(error.message).toContain(`${field} is `);
    expect(error.message).toContain(found);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a missing length', { hidden_size: undefined }, 'config.json: hidden_size is missing.'],
    [
      'a length of zero',
      { num_hidden_layers: 0 },
      'config.json: num_hidden_layers is 0; expected a positive integer.',
    ],
    [
      'a length that is text',
      { vocab_size: '48' },
      'config.json: vocab_size is "48"; expected a positive integer.',
    ],
    [
      'a negative epsilon',
      { rms_norm_eps: -1 },
      'config.json: rms_norm_eps is -1; expected a positive number.',
    ],
    [
      'an end token that is text',
      { eos_token_id: '</s>' },
      'config.json: eos_token_id is "</s>"; expected a token id or a list of them.',
    ],
    [
      'heads that do not divide',
      { head_dim: undefined, num_attention_heads: 5 },
      'config.json: hidden_size 32 is not a multiple of num_attention_heads 5, and there is no head_dim.',
    ],
    [
      'key heads that do not divide',
      { num_key_value_heads: 3 },
      'config.json: num_attention_heads 4 is not a multiple of num_key_value_heads 3.',
    ],
    [
      'an odd head',
      { head_dim: 7 },
      'config.json: head_dim is 7; expected an even number, for rotary embeddings.',
    ],
    [
      'a mask token outside of the vocabulary',
      { tidar: { mask_token_id: 48, block_size: 4 } },
      'config.json: tidar.mask_token_id is 48; expected a token id below vocab_size 48.',
    ],
    [
      'an end token outside of the vocabulary',
      { eos_token_id: [2, 99] },
      'config.json: eos_token_id is 99; expected a token id below vocab_size 48.',
    ],
    ['a block size missing', { tidar: { mask_token_id: 47 } }, 'config.json: tidar.block_size is missing.'],
    [
      'an unknown tidar field',
      { tidar: { mask_token_id: 47, block_size: 4, noise: 1 } },
      'config.json: tidar has the unknown field noise; known: mask_token_id, block_size.',
    ],
    [
      'a factor missing',
      { rope_scaling: { type: 'linear' } },
      'config.json: rope_scaling.factor is missing.',
    ],
    [
      'a factor of zero',
      { rope_scaling: { type: 'linear', factor: 0 } },
      'config.json: rope_scaling.factor is 0; expected a positive number.',
    ],
    [
      'a base that is text',
      { rope_theta: '1e4' },
      'config.json: rope_theta is "1e4"; expected a positive number.',
    ],
    [
      'a list of rotary settings',
      { rope_parameters: [1] },
      'config.json: rope_parameters is [1]; expected an object.',
    ],
    ['tidar that is no object', { tidar: 16 }, 'config.json: tidar is 16; expected an object.'],
    ['no model_type', { model_type: undefined }, 'config.json: model_type is missing.'],
  ])('says what is wrong with %s', (_, changes, sentence) => {
    const error = refusal(LLAMA, changes);
    expect(error.code).toBe('model_folder_invalid');
    expect(error.message).toBe(sentence);
  });

  it.each([[null], [[]], ['llama'], [7]])('refuses %j, which is no object', (json) => {
    expect(() => parseModelConfig(json, 'config.json')).toThrow('config.json: expected a JSON object.');
  });
});

describe('the expected tensors', () => {
  it('follow the architecture', () => {
    const names = (json: object): string[] => [
      ...expectedTensors(parseModelConfig(json, 'config.json')).keys(),
    ];
    expect(names(LLAMA)).toHaveLength(2 + 2 * 9);
    expect(names(QWEN2).filter((name) => name.endsWith('.bias'))).toHaveLength(2 * 3);
    expect(names(QWEN3).filter((name) => /[qk]_norm\.weight$/.test(name))).toHaveLength(2 * 2);
    expect(names(LLAMA)).not.toContain('lm_head.weight');
    expect(names(QWEN3)).toContain('lm_head.weight');
  });

  it('have heads × head_dim rows, whatever the hidden size is', () => {
    const shapes = expectedTensors(parseModelConfig(QWEN3, 'config.json'));
    expect(shapes.get('model.layers.1.self_attn.q_proj.weight')).toEqual([64, 32]);
    expect(shapes.get('model.layers.1.self_attn.k_proj.weight')).toEqual([32, 32]);
    expect(shapes.get('model.layers.1.self_attn.o_proj.weight')).toEqual([32, 64]);
  });
});
