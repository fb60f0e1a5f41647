import { TidarError } from '@tidar/shared/errors.ts';
import {
  assertFits,
  cpuMemory,
  describeMemory,
  deviceMemory,
  formatBytes,
  leastBytes,
} from '../model/memory.ts';
import type { MemoryNeed } from '../model/memory.ts';
import type { ModelOutline } from '../model/folder.ts';
import { AUTO_DEVICES, CPU_DEVICES, GPU_DEVICES } from './names.ts';
import type { CpuDevice, Device, DeviceName, GpuDevice } from './names.ts';
import { BYTES_PER_FLOAT, precisionOf } from '../model/precision.ts';
import type { Precision } from '../model/precision.ts';

/** What a look for a kind of GPU found: one, or in one sentence why there is none. */
export type Finding =
  | {
      /** "NVIDIA L4, compute 8.9", say. */
      readonly hardware: string;
      /** Its own memory that is free now; absent where it doesn't say. */
      readonly freeBytes?: number;
    }
  | { readonly absence: string };

/** Looks for a kind of GPU, and for all that onnxruntime needs to use it. */
export type Probe = () => Promise<Finding>;

export interface Choice {
  readonly device: Device;
  readonly hardware: string;
  readonly precision: Precision;
  /** Why this one. */
  readonly reason: string;
  /** GPUs that were looked for and not taken, with a sentence each. */
  readonly passedOver: readonly { readonly device: GpuDevice; readonly reason: string }[];
  readonly need: MemoryNeed;
}

export interface ChoiceOptions {
  readonly device?: DeviceName | undefined;
  /** What products are computed in; absent: on the CPU float32, on a GPU what the weights are in. */
  readonly precision?: Precision | undefined;
}

/**
 * Decides what runs a model, before any weight is read. A device that is named is taken, or refused with what it
 * lacks. `auto` takes the first GPU that can be used and has room, and the CPU where there is none.
 */
export async function chooseDevice(
  outline: ModelOutline,
  options: ChoiceOptions,
  probes: Readonly<Record<GpuDevice, Probe>>,
): Promise<Choice> {
  const { device: name = 'c-api' } = options;
  if (name === 'auto') return chooseFirst(outline, options, probes);
  const gpu = GPU_DEVICES.find((each) => each === name);
  if (gpu === undefined) {
    assertCpuComputesIn(options);
    return onCpu(outline, name === 'node-binding' ? name : CPU_DEVICES[0], 'as asked');
  }
  const finding = await probes[gpu]();
  if ('absence' in finding) throw new TidarError('backend_unavailable', finding.absence);
  const choice = onGpu(outline, gpu, finding, options, 'as asked');
  if (finding.freeBytes !== undefined) assertFits(outline.name, choice.need, finding.freeBytes);
  return choice;
}

/** onnxruntime does not tell what kind of adapter it got. */
const ONLY_BY_NAME = 'It is taken only by name (--device webgpu): its adapter may be the CPU itself.';

async function chooseFirst(
  outline: ModelOutline,
  options: ChoiceOptions,
  probes: Readonly<Record<GpuDevice, Probe>>,
): Promise<Choice> {
  const passedOver: Choice['passedOver'][number][] = [];
  for (const device of AUTO_DEVICES) {
    const finding = await probes[device]();
    if ('absence' in finding) {
      passedOver.push({ device, reason: finding.absence });
      continue;
    }
    const choice = onGpu(
      outline,
      device,
      finding,
      options,
      'the first device of auto’s order that can be used',
    );
    const { freeBytes = Infinity } = finding;
    if (leastBytes(choice.need) <= freeBytes) return { ...choice, passedOver };
    const short = `${formatBytes(leastBytes(choice.need))} are needed and ${formatBytes(freeBytes)} are free`;
    passedOver.push({ device, reason: `The model does not fit on the ${finding.hardware}: ${short}.` });
  }
  assertCpuComputesIn(options, passedOver[0]?.reason);
  passedOver.push({ device: 'webgpu', reason: ONLY_BY_NAME });
  return { ...onCpu(outline, CPU_DEVICES[0], 'no GPU can be used'), passedOver };
}

/** `why`: what kept a GPU from being taken. */
function assertCpuComputesIn({ precision = 'float32' }: ChoiceOptions, why?: string): void {
  if (precision === 'float32') return;
  const sentence = `The CPU computes in float32: --precision ${precision} needs a GPU.`;
  throw new TidarError('invalid_request', why === undefined ? sentence : `${sentence} ${why}`);
}

function onCpu(outline: ModelOutline, device: CpuDevice, reason: string): Choice {
  const need = cpuMemory(outline);
  assertFits(outline.name, need);
  return { device, hardware: 'CPU', precision: 'float32', reason, passedOver: [], need };
}

function onGpu(
  outline: ModelOutline,
  device: GpuDevice,
  { hardware }: Extract<Finding, { hardware: string }>,
  options: ChoiceOptions,
  reason: string,
): Choice {
  const precision = device === 'webgpu' ? onlyFloat32(options) : (options.precision ?? precisionOf(outline));
  const need = deviceMemory(outline, BYTES_PER_FLOAT[precision]);
  return { device, hardware, precision, reason, passedOver: [], need };
}

function onlyFloat32({ precision = 'float32' }: ChoiceOptions): 'float32' {
  if (precision === 'float32') return precision;
  throw new TidarError('invalid_request', `WebGPU computes in float32 here; --precision is ${precision}.`);
}

/** What a start prints, a label and a text each. */
export function describeChoice(choice: Choice): [label: string, text: string][] {
  const { device, hardware, precision, reason, passedOver, need } = choice;
  return [
    ['device', `${device} (${hardware}), ${precision}: ${reason}`],
    ...passedOver.map(({ device: other, reason: why }): [string, string] => [`not ${other}`, why]),
    ['memory', describeMemory(need)],
  ];
}
