import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { DEVICES } from './open.ts';

/** Of its own process, since others' garbage would hide a leak or look like one. */
const SCRIPT = `
  const { loadModelFolder } = await import('./gpu-backend/src/model/folder.ts');
  const { openModel } = await import('./gpu-backend/src/device/open.ts');
  const { batchOf, causalRows, idleSlot } = await import('./gpu-backend/src/device/testing.ts');
  const [device] = process.argv.slice(1);
  const folder = loadModelFolder('test/fixtures/llama-tidar');
  const session = await openModel(folder, { numThreads: 1, device, candidates: true });
  const kept = [64, 96].map((capacity) => session.createCache(3, capacity));
  async function steps(count) {
    for (let step = 0; step < count; step += 1) {
      // Every shape changes from step to step; now and then a cache comes and goes.
      const tokens = Array.from({ length: 2 + (step % 13) }, (_, row) => (step + row) % 46);
      const cache = step % 20 === 0 ? session.createCache(2, 48) : kept[step % 2];
      const slots = step % 3 === 0 ? [causalRows(tokens, 20), idleSlot(0)] : [causalRows(tokens)];
      const output = await session.run(cache, batchOf(cache.capacity, slots, { numCandidates: 1 + (step % 40) }));
      output.logits(0);
      output.candidates(1);
      if (step % 50 === 0) cache.save(0, { start: 0, end: 8 }).dispose();
      if (step % 20 === 0) cache.dispose();
      // Finalizers wait for the event loop, as a server's loop turns between steps.
      if (step % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    globalThis.gc();
    return process.memoryUsage.rss() / 2 ** 20;
  }
  const sizes = [];
  for (let round = 0; round < 4; round += 1) sizes.push(await steps(10000));
  console.log(JSON.stringify(sizes));
`;

/** V8's young generation may grow for long by itself, up to this many MiB. */
const FLAGS = ['--expose-gc', '--max-semi-space-size=1'];

describe.each(DEVICES)('%s', (device) => {
  it('leaves resident memory flat over 10,000 steps', () => {
    const child = spawnSync(process.execPath, [...FLAGS, '--input-type=module', '--eval', SCRIPT, device], {
      encoding: 'utf8',
    });
    expect(child.stderr).toBe('');
    const sizes = JSON.parse(child.stdout) as number[];
    const growths = sizes.slice(1).map((size, round) => size - sizes[round]!);
    // V8's heap takes a step up now and then; a leak grows in every round, of one small tensor a step by 3 MiB.
    expect(Math.min(...growths)).toBeLessThan(1.5);
  }, 240_000);
});
