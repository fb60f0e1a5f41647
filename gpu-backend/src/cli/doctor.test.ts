import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { outlineFolder } from '../model/folder.ts';
import { cpuMemory, leastBytes } from '../model/memory.ts';
import { recommend, whatWouldFit } from './doctor/advice.ts';
import type { DoctorReport } from './doctor/report.ts';
import type { Findings, Law } from './doctor/task.ts';
import { problemsOf } from './doctor/verdict.ts';
import { DEMO_MODEL } from './open-model.ts';

const QUICK = ['--golden', '1', '--prompts', '2', '--max-tokens', '12'];

function doctor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, ['gpu-backend/src/cli/doctor.ts', ...args], { encoding: 'utf8', env });
}

describe('the doctor', () => {
  it('finds the CPU right: golden numbers, and texts that are plain decoding’s, greedy and sampled', () => {
    const { stdout, stderr, status } = doctor([...QUICK, '--device', 'cpu', '--json']);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const report = JSON.parse(stdout) as DoctorReport;
    const [first, second, ...gpus] = report.devices;
    for (const device of [first!, second!]) {
      expect(device.golden).toHaveLength(1);
      expect(device.golden[0]!.stepError).toBeLessThan(1e-4);
    }
    for (const gpu of gpus) expect(gpu.absence ?? gpu.hardware).toMatch(/\w/);
    const { law, memory, curve } = first!.model!;
    expect(law).toMatchObject({ model: 'demo', numPrompts: 2, shapeDifference: 0, broken: [], nearTies: [] });
    expect(law.sampled).toEqual({ numTexts: 2, numEqual: 2 });
    expect(law.numTokens).toBeGreaterThan(30);
    expect(memory.statedBytes).toBeLessThan(memory.freeBytes);
    expect(curve.every(({ milliseconds }) => milliseconds > 0)).toBe(true);
    expect(report.problems).toEqual([]);
  }, 180_000);

  it.runIf(process.platform === 'linux')(
    'reports in Markdown, and ends with 1 where what was asked for is not there',
    () => {
      const hidden = { ...process.env, VK_DRIVER_FILES: '/nowhere', LD_LIBRARY_PATH: undefined };
      const { stdout, status } = doctor(['--device', 'webgpu', '--only', ...QUICK], hidden);
      expect(status).toBe(1);
      expect(stdout).toContain('| webgpu | no: WebGPU found no adapter');
      expect(stdout).toContain('- webgpu was asked for and is not there: ');
    },
    120_000,
  );
});

describe('its verdict', () => {
  const law: Law = {
    ...{ model: 'm', numPrompts: 20, numAsked: 20, numTokens: 900, shapeDifference: 0, tolerance: 0 },
    ...{
      numNearTiePositions: 0,
      nearTies: [],
      broken: [],
      sampled: { numTexts: 20, numEqual: 20 },
      speeds: [],
    },
  };
  const parting = { prompt: 3, plan: 'dense', position: 7, gap: 1e-5 };
  const right = { fixture: 'f', causalError: 1e-6, stepError: 1e-6, limit: 1e-3 };
  const findings = (device: Findings['device'], changes: Partial<Law>): Findings => ({
    ...{ device, golden: [right] },
    model: {
      ...{ name: 'm', architecture: 'llama', numParameters: 1, precision: 'float32', numThreads: 1 },
      ...{ memory: { statedBytes: 1, statement: '', freeBytes: 2 }, curve: [], threads: [] },
      law: { ...law, ...changes },
    },
  });

  it.each([
    ['nothing', findings('c-api', {}), 0],
    ['an absent device', { device: 'cuda', absence: 'none', golden: [] } as const, 0],
    ['a device that failed', { device: 'cuda', failure: 'SIGSEGV', golden: [] } as const, 1],
    ['other numbers', { device: 'cuda', golden: [{ ...right, stepError: 0.1 }] } as const, 1],
    ['a text that parted', findings('webgpu', { broken: [parting] }), 1],
    ['a near-tie', findings('webgpu', { nearTies: [parting], shapeDifference: 1e-5 }), 0],
    ['rows that differ by more than rounding', findings('cuda', { shapeDifference: 2, tolerance: 4 }), 1],
    ['rows that depend on others, on the CPU', findings('c-api', { shapeDifference: 1e-7 }), 1],
    ['a sampled text, on the CPU', findings('c-api', { sampled: { numTexts: 20, numEqual: 19 } }), 1],
    ['no prompt compared', findings('cuda', { numPrompts: 0 }), 1],
  ] as [string, Findings, number][])('of %s', (_, found, numProblems) => {
    expect(problemsOf(found)).toHaveLength(numProblems);
  });

  it('names the fewest bits that a model needs for the memory there is, and no flag where it fits', () => {
    const outline = outlineFolder(DEMO_MODEL);
    const need = leastBytes(cpuMemory(outline));
    const eight = leastBytes(cpuMemory({ ...outline, quantization: 'int8' }));
    expect(whatWouldFit(outline, need)).toBeUndefined();
    expect(whatWouldFit(outline, need - 1)).toMatchObject({ flag: '--quantize int8' });
    expect(whatWouldFit(outline, eight - 1)).toMatchObject({ flag: '--quantize int4' });
    expect(whatWouldFit(outline, 1)).toBeUndefined();
  });

  it('recommends other threads only where they are a tenth faster', () => {
    const found = findings('c-api', {});
    const threads = (...times: number[]) =>
      times.map((milliseconds, at) => ({ numThreads: 2 ** at, milliseconds }));
    const flags = (...times: number[]) =>
      recommend({ ...found, model: { ...found.model!, threads: threads(...times) } });
    expect(flags(1, 0.95)).toEqual([]);
    expect(flags(1, 0.5)).toMatchObject([{ flag: 'BACKEND_THREADS=2 (environment)' }]);
  });
});
