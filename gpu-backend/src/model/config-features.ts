import { TidarError } from '@tidar/shared/errors.ts';

/** A config.json field that changes what the model computes, and the values under which it changes nothing. */
interface Feature {
  field: string;
  /** Whether this value leaves the computation as this project implements it. */
  isSupported: (value: unknown, architecture: string) => boolean;
  supported: string;
}

const isOff = (value: unknown): boolean => value === null || value === undefined || value === false;
const isOffOr =
  (neutral: unknown) =>
  (value: unknown): boolean =>
    isOff(value) || value === neutral;

/** Fields that switch a whole mechanism on: any value but null or false asks for it. */
const ABSENT_ONLY = [
  'quantization_config',
  'num_experts',
  'num_local_experts',
  'n_routed_experts',
  'num_experts_per_tok',
  'moe_intermediate_size',
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'attention_chunk_size',
  'clip_qkv',
  'query_pre_attn_scalar',
  'no_rope_layers',
  'kv_lora_rank',
  'q_lora_rank',
  'use_qk_norm',
  'linear_num_value_heads',
  'mup_scale',
  'is_encoder_decoder',
  'add_cross_attention',
] as const;

/** Multipliers of Granite and its kin: 1 is the same as none. */
const MULTIPLIERS = [
  'attention_multiplier',
  'embedding_multiplier',
  'residual_multiplier',
  'logits_scaling',
  'logit_scale',
] as const;

const hasOnlyFullAttention = (value: unknown): boolean =>
  isOff(value) || (Array.isArray(value) && value.every((type) => type === 'full_attention'));

const FEATURES: readonly Feature[] = [
  { field: 'hidden_act', isSupported: (v) => v === undefined || v === 'silu', supported: '"silu"' },
  {
    field: 'sliding_window',
    // Qwen writes a window that `use_sliding_window` switches; Mistral's ends the context instead (see config.ts).
    isSupported: (v, architecture) =>
      isOff(v) || !['llama', 'nemotron_labs_diffusion'].includes(architecture),
    supported: 'null (full attention)',
  },
  { field: 'use_sliding_window', isSupported: isOff, supported: 'false (full attention)' },
  { field: 'layer_types', isSupported: hasOnlyFullAttention, supported: 'only "full_attention"' },
  { field: 'partial_rotary_factor', isSupported: isOffOr(1), supported: '1 (the whole head)' },
  {
    field: 'attention_bias',
    // Qwen2 always has q, k and v biases; the others have them only where this field says so.
    isSupported: (v, architecture) => v === undefined || v === null || v === (architecture === 'qwen2'),
    supported: 'false, or for qwen2 true or no such field',
  },
  {
    field: 'dlm_paradigm',
    isSupported: isOffOr('bidirectional'),
    supported: '"bidirectional" (masks of a block see each other)',
  },
  { field: 'mlp_bias', isSupported: isOff, supported: 'false' },
  ...ABSENT_ONLY.map((field) => ({ field, isSupported: isOff, supported: 'no such field' })),
  ...MULTIPLIERS.map((field) => ({ field, isSupported: isOffOr(1), supported: '1 or no such field' })),
];

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

/** One sentence for each feature of a Hugging Face config that is not implemented. */
export function unsupportedFeatures(
  json: Readonly<Record<string, unknown>>,
  architecture: string,
  fileName: string,
): string[] {
  return FEATURES.filter(({ field, isSupported }) => !isSupported(json[field], architecture)).map(
    ({ field, supported }) =>
      `${fileName}: ${field} is ${show(json[field])}, which is not implemented; supported: ${supported}.`,
  );
}

/**
 * Refuses by name every feature of a Hugging Face config that would change the numbers and that the graph
 * doesn't have: running without it would give plausible, wrong text.
 */
export function refuseUnsupportedFeatures(
  json: Record<string, unknown>,
  architecture: string,
  fileName: string,
): void {
  const [sentence] = unsupportedFeatures(json, architecture, fileName);
  if (sentence !== undefined) throw new TidarError('unsupported_model', sentence);
}
