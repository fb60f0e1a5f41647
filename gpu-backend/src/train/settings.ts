import { z } from 'zod';

const count = z.int().positive();
const share = z.number().min(0);

/** The size of the Llama-style model that training from scratch makes. */
export const modelSizeSchema = z.strictObject({
  hiddenSize: count.default(256),
  numLayers: count.default(5),
  numHeads: count.default(4),
  numKeyValueHeads: count.default(2),
  intermediateSize: count.default(640),
  maxPositions: count.default(1024),
});
export type ModelSize = z.infer<typeof modelSizeSchema>;

/** All that decides what a training run computes; it is kept in every checkpoint. */
export const trainingSettingsSchema = z
  .strictObject({
    /** Steps of this run; the learning rate falls over them. */
    numSteps: count.default(2000),
    batchSize: count.default(8),
    /** Tokens of each sequence. */
    numTokens: count.default(256),
    /** true: the plain AR baseline, trained on clean tokens alone. */
    arOnly: z.boolean().default(false),
    /** One of them is drawn at each step. */
    blockSizes: z.array(count).min(1).default([16]),
    /** Weight of the AR loss against the diffusion loss (α of section 3.1). */
    alpha: z.number().positive().default(1),
    learningRate: z.number().positive().default(2e-3),
    /** The cosine ends at this share of the learning rate. */
    finalShare: share.max(1).default(0.1),
    numWarmupSteps: z.int().min(0).default(100),
    /** Tokens of questions count this much in the losses, tokens of answers 1; absent: all tokens alike. */
    questionWeight: z
      .strictObject({ weight: share.max(1), answerStartId: z.int(), answerEndId: z.int() })
      .optional(),
    weightDecay: share.default(0.1),
    clipNorm: z.number().positive().default(1),
    seed: z.int().min(0).default(1),
  })
  .refine(
    (settings) =>
      settings.blockSizes.every(
        (size) =>
          settings.numTokens % Math.max(...settings.blockSizes) === 0 &&
          Math.max(...settings.blockSizes) % size === 0,
      ),
    {
      message: 'every block size must divide the largest one, and that the number of tokens of a sequence',
    },
  );
export type TrainingSettings = z.infer<typeof trainingSettingsSchema>;

/** Columns of own-block attention that the graph is built for: the largest block size, 0 without diffusion. */
export function windowOf(settings: TrainingSettings): number {
  return settings.arOnly ? 0 : Math.max(...settings.blockSizes);
}

/** Linear warm-up, then a cosine from the learning rate to its final share (section 4.1). `step` counts from 0. */
export function learningRateAt(settings: TrainingSettings, step: number): number {
  const { finalShare, learningRate, numSteps, numWarmupSteps } = settings;
  if (step < numWarmupSteps) return (learningRate * (step + 1)) / numWarmupSteps;
  const progress = Math.min(1, (step - numWarmupSteps) / Math.max(1, numSteps - numWarmupSteps));
  return learningRate * (finalShare + ((1 - finalShare) * (1 + Math.cos(Math.PI * progress))) / 2);
}

/**
 * Weights of a sequence's tokens: 1 from after an answer's start token to its end token, which is included, and the
 * question weight elsewhere. A sequence starts with a question.
 */
export function tokenWeights(
  { weight, answerStartId, answerEndId }: NonNullable<TrainingSettings['questionWeight']>,
  sequence: ArrayLike<number>,
): Float32Array {
  const weights = new Float32Array(sequence.length);
  let inAnswer = false;
  for (let at = 0; at < sequence.length; at += 1) {
    weights[at] = inAnswer ? 1 : weight;
    if (sequence[at] === answerStartId) inAnswer = true;
    if (sequence[at] === answerEndId) inAnswer = false;
  }
  return weights;
}
