import { readFileSync } from 'node:fs';
import { arch, platform } from 'node:os';
import type { GpuInfo } from '../device/device.ts';

/** From widest to narrowest; onnxruntime's CPU kernels choose by them, and another kernel rounds otherwise. */
const INSTRUCTION_SETS = ['amx_tile', 'avx512_bf16', 'avx512_vnni', 'avx512f', 'avx2', 'avx', 'sve', 'asimd'];

/** What decides the numbers beside the model: one part of the fingerprint. */
export function runtimeName(runtimeVersion: string, gpu?: GpuInfo): string {
  if (gpu !== undefined) {
    return `onnxruntime ${runtimeVersion}, ${gpu.device}, ${gpu.precision}, ${gpu.hardware}`;
  }
  return `onnxruntime ${runtimeVersion}, cpu, float32, ${arch()} ${instructionSet()}`;
}

function instructionSet(): string {
  if (platform() !== 'linux') return platform();
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(readCpuInfo())?.[1]?.split(' ') ?? []);
  return INSTRUCTION_SETS.find((name) => flags.has(name)) ?? 'baseline';
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
