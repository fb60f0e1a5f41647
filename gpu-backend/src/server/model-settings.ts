import { z } from 'zod';
import { ADAPTER_ROWS } from '../model/adapter.ts';
import { TOOL_FORMATS } from '../model/answer/forms.ts';
import { QUANTIZATIONS } from '../model/quantization/scheme.ts';

/** What an operator says of the model folder beside its path; see `FolderOptions`. */
export const MODEL_SETTINGS = {
  maskTokenId: {
    flag: 'mask-token',
    env: 'MASK_TOKEN',
    help: "TiDAR's mask token, where config.json names none",
  },
  blockSize: {
    flag: 'block-size',
    env: 'BLOCK_SIZE',
    help: "TiDAR's block size, where config.json names none",
  },
  adapter: {
    flag: 'adapter',
    env: 'ADAPTER',
    help: "a PEFT folder (LoRA); 'none' leaves out the one that the model brings",
  },
  adapterRows: {
    flag: 'adapter-rows',
    env: 'ADAPTER_ROWS',
    help: "rows that it acts on: 'masks', which only draft, or 'all', as if it were merged",
  },
  quantize: {
    flag: 'quantize',
    env: 'QUANTIZE',
    help: "'int8' or 'int4': products' weights in so many bits; less memory, other numbers",
  },
  toolFormat: {
    flag: 'tool-format',
    env: 'TOOL_FORMAT',
    help: `how the model writes calls of tools, where its chat template does not tell: ${TOOL_FORMATS.join(', ')}`,
  },
} as const;

const count = (least: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number of ${least} or more`)
    .transform(Number)
    .pipe(z.int().min(least, `expected a whole number of ${least} or more`));

export const modelSettingsSchema = {
  maskTokenId: count(0).optional(),
  blockSize: count(1).optional(),
  adapter: z.string().min(1, 'is empty').optional(),
  adapterRows: z.enum(ADAPTER_ROWS, "expected 'masks' or 'all'").optional(),
  quantize: z.enum(QUANTIZATIONS, "expected 'int8' or 'int4'").optional(),
  toolFormat: z.enum(TOOL_FORMATS, `expected one of ${TOOL_FORMATS.join(', ')}`).optional(),
};
