import { z } from 'zod';
import { CHECKER_NAMES } from './checkers.ts';
import { EXTRACTOR_NAMES } from './extractors.ts';

export const TASK_TYPES = ['exact', 'code', 'choices', 'perplexity', 'json'] as const;
export type TaskType = (typeof TASK_TYPES)[number];

/** A task as tasks.json lists it; docs/evaluation.md tells what the fields mean. */
export const taskSpecSchema = z
  .strictObject({
    name: z.string().regex(/^[\w.-]+$/, 'must be of letters, digits, ".", "-" and "_"'),
    /** A shorter name for tables. */
    title: z.string().min(1).optional(),
    /** JSON lines; from the folder of tasks.json. */
    file: z.string().min(1),
    type: z.enum(TASK_TYPES),
    /** The model's chat form (where it has one), or the text as it is. */
    prompt: z.enum(['chat', 'raw']).default('chat'),
    /** The prompt with `{field}` for fields of a line. */
    template: z.string().min(1).optional(),
    extractor: z.enum(EXTRACTOR_NAMES).default('whole'),
    checker: z.enum(CHECKER_NAMES).default('typescript'),
    /** End an answer, and are no part of it. */
    stop: z.array(z.string().min(1)).default([]),
    maxTokens: z.int().min(1).default(256),
    /** Of answers that are not judged, where the likeliest text would go in circles. */
    temperature: z.number().min(0).max(2).optional(),
    /** Tokens of a pass over text; half of them are context. */
    window: z.int().min(4).default(1024),
    /** Whether the shipped model was trained on such text; for the reader. */
    isInDomain: z.boolean().default(true),
  })
  .readonly();
export type TaskSpec = z.infer<typeof taskSpecSchema>;

export const taskFileSchema = z.array(taskSpecSchema).min(1);
