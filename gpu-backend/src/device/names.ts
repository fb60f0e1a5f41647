/**
 * What `--device` takes. `cpu` is `c-api`; the two ways to the CPU are named for those who compare them. Nothing here
 * loads onnxruntime: the thread that serves HTTP reads these names.
 */
export const DEVICE_NAMES = ['auto', 'cpu', 'cuda', 'webgpu', 'c-api', 'node-binding'] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

/** What runs a model. */
export type Device = Exclude<DeviceName, 'auto' | 'cpu'>;

/** Every machine has these, the faster first: the C API takes about 0.6 of the time of Node's binding. */
export const CPU_DEVICES = ['c-api', 'node-binding'] as const;
export type CpuDevice = (typeof CPU_DEVICES)[number];

export const GPU_DEVICES = ['cuda', 'webgpu'] as const satisfies readonly Exclude<Device, CpuDevice>[];
export type GpuDevice = (typeof GPU_DEVICES)[number];

/** What `auto` tries before the CPU, in this order. */
export const AUTO_DEVICES = ['cuda'] as const satisfies readonly GpuDevice[];

export const DEVICE_HELP = 'auto, cpu, cuda or webgpu';

/** Whether a name can only mean the CPU. */
export function isCpuName(name: DeviceName): boolean {
  return name === 'cpu' || CPU_DEVICES.some((device) => device === name);
}
