import { describe, expect, it } from 'vitest';
import { DEFAULT_CUDA_OPTIONS } from '../device/cuda/options.ts';
import { parseServerConfig } from '../server/config.ts';
import { DEVICE_FLAGS, deviceArguments, parseDeviceFlags } from './device-flags.ts';
import { FlagError, parseFlags } from './flags.ts';
import { parseStartOptions } from './start/options.ts';

const parse = (line: string) => parseFlags(line === '' ? [] : line.split(' '), DEVICE_FLAGS);
const SECRET = 'a-secret-of-the-tests-of-32-characters-or-more';

describe('the flags of a device', () => {
  it('are auto, the weights’ precision and CUDA as it comes, where none is given', () => {
    expect(parseDeviceFlags(parse(''))).toEqual({
      device: 'auto',
      precision: undefined,
      cuda: DEFAULT_CUDA_OPTIONS,
    });
    expect(parseDeviceFlags(parse(''), 'c-api').device).toBe('c-api');
    expect(parseDeviceFlags(parse('--device cpu'), 'c-api').device).toBe('cpu');
  });

  it.each([
    '',
    '--device cuda',
    '--device auto --precision bfloat16',
    '--device cuda --precision float16 --cuda device=1,graphs=on',
  ])('reach the backend of npm start as they were given: %s', (line) => {
    const { deviceArguments: given } = parseStartOptions(line === '' ? [] : line.split(' '), {})!;
    expect(given).toEqual(deviceArguments(parse(line)));
    const config = parseServerConfig(['--model', 'm', ...given], { LEASE_SECRETS: SECRET });
    expect(config).toMatchObject(
      Object.fromEntries(
        Object.entries(parseDeviceFlags(parse(line))).filter(([, value]) => value !== undefined),
      ),
    );
  });

  it.each([
    ['--device gpu', '--device must be auto, cpu, cuda, '],
    ['--precision int8', '--precision must be float32, float16 or bfloat16; got "int8".'],
    ['--cuda speed=high', '--cuda must be device=N, '],
  ])('are refused in a sentence: %s', (line, sentence) => {
    for (const read of [() => parseDeviceFlags(parse(line)), () => parseStartOptions(line.split(' '), {})]) {
      expect(read).toThrow(FlagError);
      expect(read).toThrow(sentence);
    }
  });
});
