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

export const SCHEDULES = ['cosine', 'constant', 'wsd'] as const;
export const MASK_STYLES = ['full', 'random'] as const;
export const BLOCK_STARTS = ['aligned', 'random'] as const;

/** All that decides what a training run computes; it is kept in every checkpoint. */
export const trainingSettingsSchema = z
  .strictObject({
    numSteps: count.default(2000),
    /**
     * How the learning rate goes after warm-up: a cosine over all steps, constant, or constant and then down a
     * straight line over the last `numDecaySteps` (wsd: warm-up, stable, decay).
     */
    schedule: z.enum(SCHEDULES).default('cosine'),
    numDecaySteps: z.int().min(0).default(0),
    batchSize: count.default(8),
    /** Tokens of each sequence. */
    numTokens: count.default(256),
    /** true: the plain AR baseline, trained on clean tokens alone. */
    arOnly: z.boolean().default(false),
    /** One of them is drawn at each step. */
    blockSizes: z.array(count).min(1).default([16]),
    /** Where blocks begin: at multiples of their size, or at those plus an offset drawn at each step. */
    blockStarts: z.enum(BLOCK_STARTS).default('aligned'),
    /** Mask rows of each sequence: those blocks whose tokens count most. Absent: as many as tokens (section 3.1). */
    numMaskRows: count.optional(),
    /** What the second half holds: masks alone (section 3.1), or some at random among clean tokens. */
    maskStyle: z.enum(MASK_STYLES).default('full'),
    /**
     * W: the mask rows' loss is (1 − W) · cross-entropy + W · KL divergence from the AR row that predicts the same
     * token, through which no gradient flows.
     */
    distillWeight: share.max(1).default(0),
    /** Rank of a low-rank adapter that acts on mask rows alone; 0: none. */
    maskAdapterRank: z.int().min(0).default(0),
    /** Weight of the AR loss against the diffusion loss (α of section 3.1). */
    alpha: z.number().positive().default(1),
    learningRate: z.number().positive().default(2e-3),
    /** The cosine or the decay ends at this share of the learning rate. */
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
  )
  .refine(
    ({ numMaskRows, numTokens, blockSizes }) =>
      numMaskRows === undefined || (numMaskRows <= numTokens && numMaskRows % Math.max(...blockSizes) === 0),
    { message: '--mask-rows must be a multiple of the largest block size, and no more than --length' },
  )
  .refine(({ arOnly, maskAdapterRank }) => !arOnly || maskAdapterRank === 0, {
    message: 'training on clean tokens alone has no mask rows for --mask-adapter to act on',
  })
  .refine(({ schedule, numDecaySteps }) => (schedule === 'wsd') === numDecaySteps > 0, {
    message: 'the schedule wsd needs --decay of 1 or more, and no other schedule has a decay',
  })
  .refine(
    ({ numSteps, numDecaySteps, numWarmupSteps }) =>
      numDecaySteps === 0 || numWarmupSteps + numDecaySteps <= numSteps,
    {
      message: 'warm-up and decay need more steps than the run has',
    },
  );
export type TrainingSettings = z.infer<typeof trainingSettingsSchema>;

/** Columns of own-block attention that the graph is built for: the largest block size, 0 without diffusion. */
export function windowOf(settings: TrainingSettings): number {
  return settings.arOnly ? 0 : Math.max(...settings.blockSizes);
}

/** Linear warm-up, then what the schedule says (section 4.1 has a cosine). `step` counts from 0. */
export function learningRateAt(settings: TrainingSettings, step: number): number {
  const { finalShare, learningRate, numWarmupSteps } = settings;
  if (step < numWarmupSteps) return (learningRate * (step + 1)) / numWarmupSteps;
  return learningRate * (finalShare + (1 - finalShare) * heightAt(settings, step));
}

/** 1 at the full learning rate, 0 at its final share. */
function heightAt(
  { schedule, numSteps, numWarmupSteps, numDecaySteps }: TrainingSettings,
  step: number,
): number {
  if (schedule === 'constant') return 1;
  if (schedule === 'wsd') return Math.min(1, Math.max(0, numSteps - step) / numDecaySteps);
  const progress = Math.min(1, (step - numWarmupSteps) / Math.max(1, numSteps - numWarmupSteps));
  return (1 + Math.cos(Math.PI * progress)) / 2;
}

/** Whether a run that has done `numDone` steps may go on under another schedule as if it had begun with it. */
export function ratesAgree(left: TrainingSettings, right: TrainingSettings, numDone: number): boolean {
  for (let step = 0; step < numDone; step += 1)
    if (learningRateAt(left, step) !== learningRateAt(right, step)) return false;
  return true;
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
