import type { ModelConfig } from '../config.ts';

/** Weights alone are stored in fewer bits; activations, sums, attention and the cache stay float32. */
export const QUANTIZATIONS = ['int8', 'int4'] as const;
export type Quantization = (typeof QUANTIZATIONS)[number];

/** So many weights of one output, one after the other, share a scale. */
export const BLOCK_SIZE = 32;

/** One product's weights, [out, in] each, below each other. */
export interface ProductShape {
  readonly weights: readonly string[];
  readonly numInputs: number;
  readonly numOutputs: number;
  readonly numBits: 4 | 8;
}

/** The name under which a product of these weights is known. */
export const productName = (weights: readonly string[]): string => weights.join('+');

/** Every product of the serving graph, as it joins weights; the head has 8 bits always: it decides between tokens. */
export function productShapes(config: ModelConfig, quantization: Quantization): ProductShape[] {
  const { numHeads, numKeyValueHeads, headDim, hiddenSize, intermediateSize, vocabSize } = config;
  const numBits = quantization === 'int4' ? 4 : 8;
  const layers = Array.from({ length: config.numLayers }, (_, layer): ProductShape[] => {
    const product = (numOutputs: number, numInputs: number, ...names: string[]): ProductShape => ({
      weights: names.map((name) => `model.layers.${layer}.${name}_proj.weight`),
      numInputs,
      numOutputs,
      numBits,
    });
    return [
      product((numHeads + numKeyValueHeads) * headDim, hiddenSize, 'self_attn.q', 'self_attn.k'),
      product(numKeyValueHeads * headDim, hiddenSize, 'self_attn.v'),
      product(hiddenSize, numHeads * headDim, 'self_attn.o'),
      product(intermediateSize, hiddenSize, 'mlp.gate'),
      product(intermediateSize, hiddenSize, 'mlp.up'),
      product(hiddenSize, intermediateSize, 'mlp.down'),
    ];
  });
  const head = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return [...layers.flat(), { weights: [head], numInputs: hiddenSize, numOutputs: vocabSize, numBits: 8 }];
}

/** Blocks of one output. */
export const numBlocks = ({ numInputs }: Pick<ProductShape, 'numInputs'>): number =>
  Math.ceil(numInputs / BLOCK_SIZE);

export function packedBytes(shape: ProductShape): number {
  return (shape.numOutputs * numBlocks(shape) * BLOCK_SIZE * shape.numBits) / 8;
}

/** What onnxruntime holds of a product: codes, and for each block its scale and its share of the zero point. */
export function heldBytes(shape: ProductShape): number {
  return packedBytes(shape) + 2 * 4 * numScales(shape);
}

export function numScales(shape: ProductShape): number {
  return shape.numOutputs * numBlocks(shape);
}
