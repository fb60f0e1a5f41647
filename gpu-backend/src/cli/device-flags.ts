import { TidarError } from '@tidar/shared/errors.ts';
import { describeChoice } from '../device/choose.ts';
import type { Choice } from '../device/choose.ts';
import { CUDA_HELP, parseCudaOptions } from '../device/cuda/options.ts';
import type { CudaOptions } from '../device/cuda/options.ts';
import { DEVICE_HELP, DEVICE_NAMES } from '../device/names.ts';
import type { DeviceName } from '../device/names.ts';
import { PRECISIONS } from '../model/precision.ts';
import type { Precision } from '../model/precision.ts';
import { FlagError, oneOf, stringFlag } from './flags.ts';
import type { ParsedFlags } from './flags.ts';

const text = { type: 'string' } as const;

/** What a command line says of the device. */
export const DEVICE_FLAGS = { device: text, precision: text, cuda: text } as const;

export const DEVICE_FLAGS_HELP = `  --device NAME        ${DEVICE_HELP} (auto)
  --precision NAME     what a GPU computes in: ${PRECISIONS.join(', ')} (as the weights are)
  --cuda SETTINGS      ${CUDA_HELP}`;

export interface DeviceChoices {
  readonly device: DeviceName;
  readonly precision: Precision | undefined;
  readonly cuda: CudaOptions;
}

export function parseDeviceFlags(flags: ParsedFlags, otherwise: DeviceName = 'auto'): DeviceChoices {
  return {
    device: oneOf(flags, 'device', DEVICE_NAMES) ?? otherwise,
    precision: oneOf(flags, 'precision', PRECISIONS),
    cuda: cudaFlag(flags),
  };
}

function cudaFlag(flags: ParsedFlags): CudaOptions {
  try {
    return parseCudaOptions(stringFlag(flags, 'cuda') ?? '');
  } catch (error) {
    throw error instanceof TidarError ? new FlagError(error.message) : error;
  }
}

/** The flags that were given, for another process. */
export function deviceArguments(flags: ParsedFlags): string[] {
  parseDeviceFlags(flags);
  return Object.keys(DEVICE_FLAGS).flatMap((name) => {
    const value = stringFlag(flags, name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

/** Tells at the standard error stream what will run the model, and why. */
export function tellChoice(choice: Choice): void {
  for (const [label, what] of describeChoice(choice)) process.stderr.write(`${label.padEnd(12)} ${what}\n`);
}
