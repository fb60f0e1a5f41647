import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { outlineFolder } from '../model/folder.ts';
import { fixturePath } from '../model/testing/temporary-folder.ts';
import { chooseDevice, describeChoice } from './choose.ts';
import type { Finding, Probe } from './choose.ts';
import type { GpuDevice } from './names.ts';
import { GPU_DEVICES } from './names.ts';

const outline = outlineFolder(fixturePath('llama-tidar'));
const ABSENT: Finding = { absence: 'There is none.' };
const PRESENT: Finding = { hardware: 'a GPU, compute 9.0', freeBytes: 2 ** 34 };

/** Every GPU as given, or absent. */
const probes = (given: Partial<Record<GpuDevice, Finding>> = {}): Record<GpuDevice, Probe> => {
  const all = GPU_DEVICES.map((device) => [device, async () => given[device] ?? ABSENT]);
  return Object.fromEntries(all) as Record<GpuDevice, Probe>;
};

describe('the device', () => {
  it('that is not named is the faster way to the CPU, without a look for others', async () => {
    const all = probes();
    for (const device of GPU_DEVICES) all[device] = async () => Promise.reject(new Error('looked'));
    for (const device of [undefined, 'cpu', 'c-api'] as const)
      expect(await chooseDevice(outline, { device }, all)).toMatchObject({ device: 'c-api', passedOver: [] });
    expect(await chooseDevice(outline, { device: 'node-binding' }, all)).toMatchObject({
      device: 'node-binding',
      precision: 'float32',
    });
  });

  it('that auto takes is the first GPU that is there, and the CPU with the reasons where none is', async () => {
    const found = await chooseDevice(outline, { device: 'auto' }, probes({ cuda: PRESENT }));
    expect(found).toMatchObject({ device: 'cuda', hardware: 'a GPU, compute 9.0', passedOver: [] });
    const cpu = await chooseDevice(outline, { device: 'auto' }, probes());
    expect(cpu.device).toBe('c-api');
    expect(cpu.passedOver).toMatchObject([
      { device: 'cuda', reason: 'There is none.' },
      { device: 'webgpu' },
    ]);
    const lines = describeChoice(cpu);
    expect(lines[0]).toEqual(['device', 'c-api (CPU), float32: no GPU can be used']);
    expect(lines).toContainEqual(['not cuda', 'There is none.']);
    expect(lines.at(-1)?.[0]).toBe('memory');
  });

  it('that is WebGPU is taken only by name, and computes in float32 alone', async () => {
    const all = probes({ webgpu: PRESENT });
    const cpu = await chooseDevice(outline, { device: 'auto' }, all);
    expect(cpu).toMatchObject({
      device: 'c-api',
      passedOver: [{}, { reason: expect.stringContaining('only by name') as string }],
    });
    const named = await chooseDevice(outline, { device: 'webgpu' }, all);
    expect(named).toMatchObject({ device: 'webgpu', precision: 'float32' });
    const narrow = chooseDevice(outline, { device: 'webgpu', precision: 'float16' }, all);
    await expect(narrow).rejects.toThrow('WebGPU computes in float32 here; --precision is float16.');
  });

  it('that auto passes over for want of memory is told with both numbers', async () => {
    const small = { ...PRESENT, freeBytes: 2 ** 20 };
    const { device, passedOver } = await chooseDevice(outline, { device: 'auto' }, probes({ cuda: small }));
    expect(device).toBe('c-api');
    expect(passedOver.find((one) => one.device === 'cuda')?.reason).toMatch(
      /^The model does not fit on the a GPU, compute 9\.0: \d+ MiB are needed and 1\.0 MiB are free\.$/,
    );
  });

  it.each(GPU_DEVICES)(
    '%s, where it is named, is refused with what it lacks, and never replaced',
    async (device) => {
      const refused = chooseDevice(outline, { device }, probes());
      await expect(refused).rejects.toThrow(TidarError);
      await expect(refused).rejects.toThrow('There is none.');
      const full = chooseDevice(outline, { device }, probes({ [device]: { ...PRESENT, freeBytes: 1000 } }));
      await expect(full).rejects.toThrow(/does not fit: it needs/);
      expect(await chooseDevice(outline, { device }, probes({ [device]: PRESENT }))).toMatchObject({
        device,
      });
    },
  );

  it('computes on a GPU in what the weights are in, unless something else is asked for', async () => {
    const choose = async (precision?: 'bfloat16') =>
      chooseDevice(outline, { device: 'cuda', precision }, probes({ cuda: PRESENT }));
    const [plain, half] = [await choose(), await choose('bfloat16')];
    expect([plain.precision, half.precision]).toEqual(['float32', 'bfloat16']);
    expect(half.need.weights).toBe(plain.need.weights / 2);
  });

  it('is refused what it can’t compute in, with what kept a GPU from being taken', async () => {
    const precision = 'bfloat16';
    const refused = 'The CPU computes in float32: --precision bfloat16 needs a GPU.';
    for (const device of ['cpu', 'node-binding'] as const)
      await expect(chooseDevice(outline, { device, precision }, probes())).rejects.toThrow(refused);
    const auto = chooseDevice(outline, { device: 'auto', precision }, probes());
    await expect(auto).rejects.toThrow(`${refused} There is none.`);
    const plain = await chooseDevice(outline, { device: 'cpu', precision: 'float32' }, probes());
    expect(plain.precision).toBe('float32');
  });
});
