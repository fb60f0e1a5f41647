import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { GREEDY, openFixture, PROMPT } from '../engine/testing.ts';
import { benchDecode } from './bench-decode.ts';

const OPTIONS = {
  prompts: [PROMPT, PROMPT.slice(3)],
  draftLengths: [2, 4],
  numRepetitions: 2,
  maxTokens: 24,
  sampling: GREEDY,
};

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('qwen3-tidar');
});
afterAll(() => session.dispose());

describe('bench decode', () => {
  it('counts tokens per forward pass without prefill: plain decoding is exactly 1', async () => {
    const progress: number[] = [];
    const results = await benchDecode(session, OPTIONS, (done, total) => progress.push(done / total));
    expect(results.map((result) => result.name)).toEqual(['ar', 'dense k=2', 'dense k=4']);
    expect(results.map((result) => result.numRows)).toEqual([2, 6, 20]);
    expect(results[0]).toMatchObject({ tokensPerForward: 1, speedup: { median: 1, lowest: 1, highest: 1 } });
    expect(results[1]!.tokensPerForward).toBeGreaterThan(1.2);
    expect(results[2]!.tokensPerForward).toBeGreaterThan(results[1]!.tokensPerForward);
    for (const { shareOutside, tokensPerSecond, medianMsPerToken } of results) {
      expect(shareOutside).toBeGreaterThan(0);
      expect(shareOutside).toBeLessThan(1);
      expect(tokensPerSecond).toBeGreaterThan(0);
      expect(medianMsPerToken).toBeGreaterThan(0);
    }
    expect(progress).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it('fails where a decoder’s tokens are not those of plain decoding', async () => {
    const broken: ModelSession = {
      ...session,
      run: async (cache, rows) => {
        const logits = await session.run(cache, rows);
        return rows.tokenIds.length > 12 ? logits.map((logit, at) => (at % 48 === 9 ? 99 : logit)) : logits;
      },
    };
    await expect(benchDecode(broken, OPTIONS, () => undefined)).rejects.toThrowError(
      'dense k=4 gave other tokens',
    );
  });

  it('prints the two figures as its last line', () => {
    const script = fileURLToPath(new URL('./bench.ts', import.meta.url));
    const model = fileURLToPath(new URL('../../../test/fixtures/llama-tidar', import.meta.url));
    const args = [
      'decode',
      '--model',
      model,
      '--repetitions',
      '1',
      '--max-tokens',
      '16',
      '--draft-lengths',
      '3,4',
    ];
    const { stdout, stderr, status } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^tidar\/ar \d+\.\d\d {2}t\/nfe \d+\.\d\d$/);
  });
});
