import { z } from 'zod';
import { CPU_DEVICES, GPU_DEVICES } from '../../device/names.ts';
import { ADAPTER_ROWS } from '../../model/adapter.ts';
import { PRECISIONS } from '../../model/precision.ts';
import { QUANTIZATIONS } from '../../model/quantization/scheme.ts';

// What the doctor and the process that examines one device say to each other. A device's driver may end a process: the
// doctor's own must go on.

export const EXAMINED_DEVICES = [...CPU_DEVICES, ...GPU_DEVICES] as const;

export const taskSchema = z.object({
  device: z.enum(EXAMINED_DEVICES),
  precision: z.enum(PRECISIONS).optional(),
  /** As `--cuda` has it. */
  cuda: z.string(),
  /** Fixtures whose golden numbers are computed. */
  fixtures: z.array(z.string()),
  /** Absent: the golden numbers alone. */
  model: z
    .object({
      path: z.string(),
      options: z.object({
        maskTokenId: z.number().optional(),
        blockSize: z.number().optional(),
        adapter: z.string().optional(),
        adapterRows: z.enum(ADAPTER_ROWS).optional(),
        quantize: z.enum(QUANTIZATIONS).optional(),
      }),
      numThreads: z.number(),
      numPrompts: z.number(),
      maxTokens: z.number(),
      timeLimitMs: z.number(),
    })
    .optional(),
});
export type Task = z.infer<typeof taskSchema>;
export type ModelTask = NonNullable<Task['model']>;

const goldenSchema = z.object({
  fixture: z.string(),
  causalError: z.number(),
  stepError: z.number(),
  limit: z.number(),
});
export type Golden = z.infer<typeof goldenSchema>;

const partingSchema = z.object({
  prompt: z.number(),
  plan: z.string(),
  /** Of the first token that differs, counted from the answer's first. */
  position: z.number(),
  /** Of the two best scores there. */
  gap: z.number(),
});
export type Parting = z.infer<typeof partingSchema>;

const lawSchema = z.object({
  /** Whose texts: the model's, or a fixture's where the model has no diffusion mode. */
  model: z.string(),
  numPrompts: z.number(),
  /** Fewer than were asked for where time ran out. */
  numAsked: z.number(),
  numTokens: z.number(),
  /** Largest difference of a row's logits between two shapes of pass; 0: bit for bit. */
  shapeDifference: z.number(),
  /** Gaps below it are near-ties: twice the difference. */
  tolerance: z.number(),
  numNearTiePositions: z.number(),
  nearTies: z.array(partingSchema),
  broken: z.array(partingSchema),
  /** With the same seed; judged only where rows are the same bit for bit. */
  sampled: z.object({ numTexts: z.number(), numEqual: z.number() }),
  /** Of each way to decode, all texts together. */
  speeds: z.array(z.object({ name: z.string(), tokensPerForward: z.number(), tokensPerSecond: z.number() })),
});
export type Law = z.infer<typeof lawSchema>;

const modelSchema = z.object({
  name: z.string(),
  architecture: z.string(),
  numParameters: z.number(),
  precision: z.string(),
  numThreads: z.number(),
  memory: z.object({
    statedBytes: z.number(),
    statement: z.string(),
    freeBytes: z.number(),
    /** Of the process; absent where the system doesn't tell, and where a GPU holds the weights. */
    foundBytes: z.number().optional(),
  }),
  curve: z.array(z.object({ numRows: z.number(), milliseconds: z.number() })),
  /** Milliseconds of a pass of 16 rows by threads; only of a small model on the CPU. */
  threads: z.array(z.object({ numThreads: z.number(), milliseconds: z.number() })),
  law: lawSchema,
});
export type ModelFindings = z.infer<typeof modelSchema>;

/** A device that is absent has its reason, one that failed what it said. */
export const findingsSchema = z.object({
  device: z.enum(EXAMINED_DEVICES),
  hardware: z.string().optional(),
  absence: z.string().optional(),
  failure: z.string().optional(),
  golden: z.array(goldenSchema),
  model: modelSchema.optional(),
});
export type Findings = z.infer<typeof findingsSchema>;
