import type { Architecture, ModelConfig } from './config.ts';

function layerTensors(config: ModelConfig, layer: number): [string, number[]][] {
  const { hiddenSize, headDim, intermediateSize } = config;
  const queryWidth = config.numHeads * headDim;
  const keyValueWidth = config.numKeyValueHeads * headDim;
  const tensors: [string, number[]][] = [
    ['input_layernorm.weight', [hiddenSize]],
    ['self_attn.q_proj.weight', [queryWidth, hiddenSize]],
    ['self_attn.k_proj.weight', [keyValueWidth, hiddenSize]],
    ['self_attn.v_proj.weight', [keyValueWidth, hiddenSize]],
    ['self_attn.o_proj.weight', [hiddenSize, queryWidth]],
    ['post_attention_layernorm.weight', [hiddenSize]],
    ['mlp.gate_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.up_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.down_proj.weight', [hiddenSize, intermediateSize]],
  ];
  if (config.attentionBias) {
    tensors.push(['self_attn.q_proj.bias', [queryWidth]]);
    tensors.push(['self_attn.k_proj.bias', [keyValueWidth]]);
    tensors.push(['self_attn.v_proj.bias', [keyValueWidth]]);
  }
  if (config.queryKeyNorm) {
    tensors.push(['self_attn.q_norm.weight', [headDim]]);
    tensors.push(['self_attn.k_norm.weight', [headDim]]);
  }
  return tensors.map(([name, shape]) => [`model.layers.${layer}.${name}`, shape]);
}

/** Every tensor that the architecture needs, by the name that Hugging Face's Llama gives it, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, number[]> {
  const { vocabSize, hiddenSize } = config;
  const tensors = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const [name, shape] of layerTensors(config, layer)) tensors.set(name, shape);
  }
  tensors.set('model.norm.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) tensors.set('lm_head.weight', [vocabSize, hiddenSize]);
  return tensors;
}

/** What an architecture calls the tensors that Hugging Face's Llama calls `model.…` and `lm_head.weight`. */
const PREFIXES: Partial<Record<Architecture, readonly [llama: string, own: string][]>> = {
  nemotron_labs_diffusion: [
    ['model.', 'encoder.'],
    ['lm_head.', 'diffusion_head.'],
  ],
};

/** The name that a tensor has in the architecture's files. */
export function nameInFile(architecture: Architecture, name: string): string {
  for (const [llama, own] of PREFIXES[architecture] ?? []) {
    if (name.startsWith(llama)) return own + name.slice(llama.length);
  }
  return name;
}
