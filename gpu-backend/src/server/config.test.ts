import { describe, expect, it } from 'vitest';
import type { ServerConfig } from './config.ts';
import { engineSettings, parseServerConfig, SETTINGS, settingsHelp } from './config.ts';

const SECRET = 'a-secret-of-the-tests-of-32-characters-or-more';

const parse = (args: string[] = [], env: Record<string, string> = {}): ServerConfig =>
  parseServerConfig(['--model', 'm', ...args], { LEASE_SECRETS: SECRET, ...env });

describe('settings of the server', () => {
  it('have defaults that share nothing between keys and leave to the engine what it measures', () => {
    const config = parse();
    expect(config).toMatchObject({ prefixCacheBytes: 256 << 20, sharePrefixes: false });
    for (const name of ['maxCacheBytes', 'prefillChunkTokens', 'draftLength', 'draftModelPath', 'instance']) {
      expect(config[name as keyof ServerConfig]).toBeUndefined();
    }
    expect(config.device).toBe('auto');
  });

  it.each<[string, string[], Partial<ServerConfig>]>([
    ['MAX_CACHE_MIB=64', ['--max-cache-mib', '64'], { maxCacheBytes: 64 << 20 }],
    ['PREFIX_CACHE_MIB=0', ['--prefix-cache-mib', '0'], { prefixCacheBytes: 0 }],
    ['SHARE_PREFIXES=true', ['--share-prefixes'], { sharePrefixes: true }],
    ['DRAFT_MODEL=small', ['--draft-model', 'small'], { draftModelPath: 'small' }],
    ['PREFILL_CHUNK=128', ['--prefill-chunk', '128'], { prefillChunkTokens: 128 }],
    ['BACKEND_DEVICE=node-binding', ['--device', 'node-binding'], { device: 'node-binding' }],
    ['PRECISION=bfloat16', ['--precision', 'bfloat16'], { precision: 'bfloat16' }],
    [
      'BACKEND_CUDA=device=1,graphs=on',
      ['--cuda', 'device=1,graphs=on'],
      { cuda: { device: 1, graphs: 'on', arena: 'power-of-two', memoryMib: undefined } },
    ],
  ])('are read from the environment as %s and from flags as %j', (variable, args, expected) => {
    const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(variable) ?? [];
    expect(parse([], { [name]: value })).toMatchObject(expected);
    expect(parse(args)).toMatchObject(expected);
  });

  it('let a flag win over the environment', () => {
    expect(parse(['--device', 'c-api'], { BACKEND_DEVICE: 'node-binding' }).device).toBe('c-api');
    expect(parse(['--share-prefixes'], { SHARE_PREFIXES: 'false' }).sharePrefixes).toBe(true);
    expect(parse([], { SHARE_PREFIXES: '0' }).sharePrefixes).toBe(false);
  });

  it.each([
    [['--max-cache-mib', '0'], /^--max-cache-mib \(MAX_CACHE_MIB\) is "0": expected 1/],
    [['--prefix-cache-mib', '-1'], /prefix-cache-mib/],
    [['--prefill-chunk', 'all'], /^--prefill-chunk \(PREFILL_CHUNK\) is "all"/],
    [['--device', 'gpu'], /^--device \(BACKEND_DEVICE\) is "gpu": expected auto, cpu, cuda or webgpu\.$/],
    [
      ['--cuda', 'graphs=maybe'],
      /^--cuda \(BACKEND_CUDA\) is "graphs=maybe": expected device=N, memory-mib=N/,
    ],
    [['--share-prefixes=yes'], /share-prefixes/],
  ])('refuse %j by a sentence', (args, sentence) => {
    expect(() => parse(args)).toThrow(sentence);
  });

  it('are all told by --help', () => {
    for (const { flag, env } of Object.values(SETTINGS)) {
      expect(settingsHelp()).toMatch(new RegExp(`--${flag} .*\\(${env}\\)`));
    }
  });

  it('give the engine no secret', () => {
    const settings = engineSettings(parse(['--max-cache-mib', '64', '--device', 'c-api']));
    expect(JSON.stringify(settings)).not.toContain(SECRET);
    expect(settings).toMatchObject({ maxCacheBytes: 64 << 20, device: 'c-api', sharePrefixes: false });
  });
});
