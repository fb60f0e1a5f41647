import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { libraryPlace } from '../c-api/library.ts';
import { neededLibraries } from './needed-libraries.ts';
import { CUDA_HELP, parseCudaOptions, providerOptions } from './options.ts';
import type { CudaOptions } from './options.ts';
import { findProvider, PROVIDER_FILE } from './provider-files.ts';

const SHARED_FILE = 'libonnxruntime_providers_shared.so';

describe('the settings of CUDA', () => {
  it('are read back from the text that says them, in any order', () => {
    const options = fc.record({
      device: fc.nat(7),
      memoryMib: fc.option(fc.integer({ min: 1, max: 200_000 }), { nil: undefined }),
      arena: fc.constantFrom('power-of-two' as const, 'as-requested' as const),
      graphs: fc.constantFrom('on' as const, 'off' as const),
    });
    fc.assert(
      fc.property(options, fc.boolean(), (wanted: CudaOptions, isTurned) => {
        const { device, memoryMib, arena, graphs } = wanted;
        const parts = [`device=${device}`, `arena=${arena}`, ` graphs = ${graphs}`];
        if (memoryMib !== undefined) parts.push(`memory-mib=${memoryMib}`);
        const text = (isTurned ? parts.toReversed() : parts).join(',');
        expect(parseCudaOptions(text)).toEqual(wanted);
      }),
    );
  });

  it.each(['graphs', 'graphs=maybe', 'device=-1', 'device=one', 'memory-mib=0', 'speed=high', 'device=1=2'])(
    'are refused with all that there is: %s',
    (text) => {
      expect(() => parseCudaOptions(text)).toThrow(`--cuda must be ${CUDA_HELP}; got "${text}".`);
    },
  );

  it('reach the provider in its own words', () => {
    expect(
      providerOptions(parseCudaOptions('device=2,memory-mib=1000,arena=as-requested,graphs=on')),
    ).toEqual({
      device_id: '2',
      gpu_mem_limit: '1048576000',
      arena_extend_strategy: 'kSameAsRequested',
      enable_cuda_graph: '1',
      use_tf32: '0',
      enable_skip_layer_norm_strict_mode: '1',
      do_copy_in_default_stream: '1',
    });
    expect(providerOptions(parseCudaOptions(''))).not.toHaveProperty('gpu_mem_limit');
  });
});

describe.runIf(process.platform === 'linux')('the CUDA provider', () => {
  /** A folder with a provider of some content; the file must be there, of a library nothing is read. */
  const folderWith = (content: Buffer): string => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, SHARED_FILE), '');
    writeFileSync(join(folder, PROVIDER_FILE), content);
    return folder;
  };

  it('that is not there is told with the command that fetches it', () => {
    expect(findProvider(temporaryFolder(), '1.29.0')).toEqual({
      absence:
        `The CUDA provider of onnxruntime 1.29.0 is not installed (${SHARED_FILE} is missing): ` +
        '`ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js` installs it.',
    });
  });

  it('is taken only where the file names the very version, wherever in it that stands', () => {
    // 16 MiB are read at once: the name may lie across two parts.
    for (const at of [0, 2 ** 24 - 3, 2 ** 24 + 5]) {
      const content = Buffer.alloc(2 ** 24 + 100, 'x');
      content.write('\x001.28.0\x00', at, 'latin1');
      const found = findProvider(folderWith(content), '1.29.0');
      expect('absence' in found && found.absence).toMatch(/is not of onnxruntime 1\.29\.0/);
      // Of the right version the file goes on to be read as the library that it isn't.
      expect(() => findProvider(folderWith(content), '1.28.0')).toThrow();
      expect('absence' in findProvider(folderWith(content), '1.2')).toBe(true);
    }
  });

  it('is read for the libraries that it is linked to, as any library is', () => {
    const { folder, file } = libraryPlace();
    const libraries = neededLibraries(join(folder, file));
    expect(libraries).toContain('libc.so.6');
    expect(libraries.every((name) => /^[\w+.-]+\.so(\.\d+)*$/.test(name))).toBe(true);
    expect(() => neededLibraries(import.meta.filename)).toThrow();
  });
});
