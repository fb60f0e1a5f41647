import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';

/** How the CUDA provider is set up, as one text gives it: "device=1,memory-mib=20000,graphs=on". */
export interface CudaOptions {
  /** As `nvidia-smi -L` counts them. */
  readonly device: number;
  /** Of weights and of what passes compute; absent: all there is. Caches have a limit of their own. */
  readonly memoryMib?: number | undefined;
  /** How the provider's memory grows: to the next power of two, or by what is asked for. */
  readonly arena: 'power-of-two' | 'as-requested';
  /** Whether passes of a shape that comes again are captured once and replayed. */
  readonly graphs: 'on' | 'off';
}

export const CUDA_HELP = 'device=N, memory-mib=N, arena=power-of-two|as-requested, graphs=on|off, by commas';

const count = z
  .string()
  .regex(/^\d{1,9}$/, 'expected a whole number')
  .transform(Number);

const schema = z.strictObject({
  device: count.default(0),
  'memory-mib': count.refine((mib) => mib > 0, 'expected a whole number above 0').optional(),
  arena: z.enum(['power-of-two', 'as-requested']).default('power-of-two'),
  graphs: z.enum(['on', 'off']).default('off'),
});

export const DEFAULT_CUDA_OPTIONS: CudaOptions = parseCudaOptions('');

/** Reads the text of `--cuda`; throws `invalid_request` with one sentence. */
export function parseCudaOptions(text: string): CudaOptions {
  const pairs = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part): [string, string] => {
      const at = part.indexOf('=');
      return at < 0 ? [part.trim(), ''] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    });
  const parsed = schema.safeParse(Object.fromEntries(pairs));
  if (!parsed.success) {
    throw new TidarError('invalid_request', `--cuda must be ${CUDA_HELP}; got "${text}".`);
  }
  const { 'memory-mib': memoryMib, ...rest } = parsed.data;
  return { ...rest, memoryMib };
}

const MEBIBYTE = 2 ** 20;

/** The same for `UpdateCUDAProviderOptions`. */
export function providerOptions({ device, memoryMib, arena, graphs }: CudaOptions): Record<string, string> {
  return {
    device_id: String(device),
    ...(memoryMib === undefined ? {} : { gpu_mem_limit: String(memoryMib * MEBIBYTE) }),
    arena_extend_strategy: arena === 'power-of-two' ? 'kNextPowerOfTwo' : 'kSameAsRequested',
    enable_cuda_graph: graphs === 'on' ? '1' : '0',
    // float32 means float32: by default products are rounded to 10 bits of mantissa.
    use_tf32: '0',
    // Sums before a norm are kept in float32, whatever is computed in.
    enable_skip_layer_norm_strict_mode: '1',
    // Inputs and outputs are copied before and after a run; within it all is one stream.
    do_copy_in_default_stream: '1',
  };
}
