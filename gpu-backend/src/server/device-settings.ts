import { z } from 'zod';
import { CUDA_HELP, parseCudaOptions } from '../device/cuda/options.ts';
import type { CudaOptions } from '../device/cuda/options.ts';
import { DEVICE_HELP, DEVICE_NAMES } from '../device/names.ts';
import type { DeviceName } from '../device/names.ts';
import { PRECISIONS } from '../model/precision.ts';
import type { Precision } from '../model/precision.ts';

export interface DeviceConfig {
  /** What runs the model. */
  readonly device: DeviceName;
  /** What products are computed in; absent: what suits device and weights. */
  readonly precision?: Precision | undefined;
  /** How CUDA is set up, where it runs the model. */
  readonly cuda: CudaOptions;
}

/** What an operator says of the device. */
export const DEVICE_SETTINGS = {
  device: {
    flag: 'device',
    env: 'BACKEND_DEVICE',
    help: `what runs the model: ${DEVICE_HELP}; auto by default`,
  },
  precision: {
    flag: 'precision',
    env: 'PRECISION',
    help: `what a GPU computes in: ${PRECISIONS.join(', ')}; as the weights are by default`,
  },
  cuda: { flag: 'cuda', env: 'BACKEND_CUDA', help: `how CUDA is set up: ${CUDA_HELP}` },
} as const;

const cuda = z
  .string()
  .default('')
  .transform((text, context) => {
    try {
      return parseCudaOptions(text);
    } catch {
      context.addIssue({ code: 'custom', message: `expected ${CUDA_HELP}` });
      return z.NEVER;
    }
  });

export const deviceSettingsSchema = {
  device: z.enum(DEVICE_NAMES, `expected ${DEVICE_HELP}`).default('auto'),
  precision: z.enum(PRECISIONS, `expected ${PRECISIONS.join(', ')}`).optional(),
  cuda,
};
