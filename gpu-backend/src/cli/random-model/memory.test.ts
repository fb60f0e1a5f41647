import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ALLOCATOR_ENVIRONMENT } from '../../device/allocator-environment.ts';
import { loadModelFolder, outlineFolder } from '../../model/folder.ts';
import { cpuMemory } from '../../model/memory.ts';
import { quantizedWeights } from '../../model/quantization/file.ts';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { writeRandomModel } from './write.ts';

/** Of its own process: what loading takes beside what was there before. */
const SCRIPT = `
  const { readFileSync } = await import('node:fs');
  const { loadModelFolder } = await import('./gpu-backend/src/model/folder.ts');
  const { openModel } = await import('./gpu-backend/src/device/open.ts');
  const kib = (field) => Number(new RegExp(field + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const [path, quantize] = process.argv.slice(1);
  const folder = loadModelFolder(path, { quantize });
  globalThis.gc();
  const before = kib('RssAnon');
  const session = await openModel(folder, { numThreads: 1 });
  globalThis.gc();
  console.log(JSON.stringify(1024 * (kib('RssAnon') - before)));
  await session.dispose();
`;

const MODEL = {
  model_type: 'nemotron_labs_diffusion',
  vocab_size: 8192,
  hidden_size: 1024,
  num_hidden_layers: 4,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  head_dim: 64,
  intermediate_size: 3072,
  tie_word_embeddings: true,
  mask_token_id: 100,
  block_size: 32,
  max_position_embeddings: 262_144,
  rope_parameters: {
    rope_type: 'yarn',
    rope_theta: 1e6,
    factor: 16,
    original_max_position_embeddings: 16_384,
  },
};

describe.runIf(process.platform === 'linux')('loading a model', () => {
  it.each([
    ['BF16', undefined],
    ['F32', undefined],
    ['BF16', 'int4'],
  ] as const)('holds weights in %s once, as the stated need says (quantized: %s)', (dtype, quantize) => {
    const folder = temporaryFolder();
    writeRandomModel(folder, MODEL, dtype);
    // Packing them, which is done once, leaves garbage in a process.
    if (quantize !== undefined) quantizedWeights(loadModelFolder(folder, { quantize }), quantize);
    const more = quantize === undefined ? [] : [quantize];
    const args = ['--expose-gc', '--input-type=module', '--eval', SCRIPT, folder, ...more];
    const child = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, ...ALLOCATOR_ENVIRONMENT },
    });
    expect(child.stderr).toBe('');
    const grown = JSON.parse(child.stdout) as number;
    const { weights } = cpuMemory(outlineFolder(folder, { quantize }));
    expect(weights).toBeGreaterThan(quantize === undefined ? 200e6 : 40e6);
    expect(grown / weights).toBeGreaterThan(0.9);
    expect(grown / weights).toBeLessThan(1.2);
  });
});
