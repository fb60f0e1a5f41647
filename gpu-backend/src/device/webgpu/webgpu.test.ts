import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { loadModelFolder } from '../../model/folder.ts';
import { fixturePath } from '../../model/testing/temporary-folder.ts';
import { openModel } from '../open.ts';
import type { ConformanceReport } from './testing/conformance.ts';
import { swiftShaderEnvironment } from './testing/swiftshader.ts';

const SCRIPT = fileURLToPath(new URL('./testing/conformance.ts', import.meta.url));
const isSupported = process.platform === 'linux' && process.arch === 'x64';

async function conformance(...args: string[]): Promise<ConformanceReport> {
  const env = await swiftShaderEnvironment();
  const child = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', env });
  expect({ status: child.status, stderr: child.stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(child.stdout) as ConformanceReport;
}

describe.runIf(isSupported)('WebGPU, on SwiftShader', () => {
  it('computes the golden numbers, in any slot and after copies, and texts that are plain decoding’s', async () => {
    const report = await conformance(fixturePath('llama-tidar'));
    expect(report.hardware).toContain('WebGPU adapter');
    expect(report.causalError).toBeLessThan(2e-5);
    expect(report.stepError).toBeLessThan(2e-5);
    expect(report.inOtherSlots).toBeLessThan(2e-5);
    expect(report.afterCopies).toBeLessThan(2e-5);
    expect(report.candidateError).toBeLessThan(2e-5);
    // A text may part from plain decoding's at a near-tie, and nowhere else.
    expect(report.law).toMatchObject({ numPrompts: 2, broken: [] });
    expect(report.law.tolerance).toBe(2 * report.law.shapeDifference);
    expect(report.law.tolerance).toBeLessThan(1e-4);
    expect(report.law.numTokens).toBeGreaterThan(20);
    // Shaders are compiled for every shape that comes, on the CPU too.
  }, 180_000);
});

describe('WebGPU without an adapter', () => {
  it('is refused with what is missing', async () => {
    const opened = openModel(loadModelFolder(fixturePath('llama-tidar')), {
      numThreads: 1,
      device: 'webgpu',
    });
    await expect(opened).rejects.toThrow(TidarError);
    await expect(opened).rejects.toThrow(/WebGPU/);
  });
});
