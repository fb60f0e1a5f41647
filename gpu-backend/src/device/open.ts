import type { ModelFolder, ModelOutline } from '../model/folder.ts';
import { withQuantizedWeights } from '../model/quantization/file.ts';
import { libraryPlace } from './c-api/library.ts';
import { openCApiSession } from './c-api/session.ts';
import { chooseDevice } from './choose.ts';
import type { Choice, ChoiceOptions, Finding, Probe } from './choose.ts';
import { DEFAULT_CUDA_OPTIONS } from './cuda/options.ts';
import type { CudaOptions } from './cuda/options.ts';
import type { ModelSession } from './device.ts';
import { CPU_DEVICES } from './names.ts';
import type { Device, GpuDevice } from './names.ts';
import type { SessionOptions } from './options.ts';

export type { Device, DeviceName } from './names.ts';

export const RUNTIME_VERSION: string = libraryPlace().version;

/** Every device that all machines have. */
export const DEVICES = CPU_DEVICES;

export interface OpenOptions extends SessionOptions, ChoiceOptions {
  readonly cuda?: CudaOptions | undefined;
  /** Told what will run the model, and why, before any weight is read. */
  readonly onChoice?: ((choice: Choice) => void) | undefined;
}

type Open = (folder: ModelFolder, options: OpenOptions, choice: Choice) => Promise<ModelSession>;

/** What one device needs is not loaded for another. */
const OPENERS: Readonly<Record<Device, Open>> = {
  'c-api': openCApiSession,
  'node-binding': async (folder, options) =>
    (await import('./node-binding.ts')).openNodeSession(folder, options),
  cuda: async (folder, options, choice) =>
    (await import('./cuda/session.ts')).openCudaSession(folder, options, choice),
  webgpu: async (folder, options, { hardware }) =>
    (await import('./webgpu/session.ts')).openWebGpuSession(folder, options, hardware),
};

/** How each GPU is looked for. */
function probesFor({
  cuda = DEFAULT_CUDA_OPTIONS,
}: Pick<OpenOptions, 'cuda'>): Readonly<Record<GpuDevice, Probe>> {
  return {
    cuda: async () => (await import('./cuda/probe.ts')).probeCuda(cuda),
    webgpu: async () => (await import('./webgpu/probe.ts')).probeWebGpu(),
  };
}

/** What would run a model; see `chooseDevice`. */
export function findDevice(outline: ModelOutline, options: Omit<OpenOptions, 'numThreads'>): Promise<Choice> {
  return chooseDevice(outline, options, probesFor(options));
}

/** Looks for one kind of GPU. */
export function findGpu(device: GpuDevice, options: OpenOptions): Promise<Finding> {
  return probesFor(options)[device]();
}

/**
 * Opens a model folder on the device that is named (absent: the faster way to the CPU), or on the one that `auto`
 * finds; refuses one that has no room in its memory.
 */
export async function openModel(folder: ModelFolder, options: OpenOptions): Promise<ModelSession> {
  const choice = await chooseDevice(folder, options, probesFor(options));
  options.onChoice?.(choice);
  return withQuantizedWeights(folder, (served) => OPENERS[choice.device](served, options, choice));
}
