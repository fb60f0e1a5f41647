import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import { changeJson, copyOfFixture, fixturePath } from '../model/testing/temporary-folder.ts';
import type { ModelSession } from './device.ts';
import { DEVICES, openModel } from './open.ts';
import type { Device } from './open.ts';
import { batchOf, causalRows, largestDifference, tokensOf } from './testing.ts';

const NUM_ROWS = 12;
const LONGEST = 2 ** 21;

/** A model of which the positions are too many for one table. */
function openLong(device: Device): Promise<ModelSession> {
  const folder = copyOfFixture('llama-tidar');
  changeJson(join(folder, 'config.json'), { max_position_embeddings: LONGEST });
  return openModel(loadModelFolder(folder), { numThreads: 1, device });
}

const openShort = (device: Device): Promise<ModelSession> =>
  openModel(loadModelFolder(fixturePath('llama-tidar')), { numThreads: 1, device });

async function logitsFrom(session: ModelSession, firstPosition: number): Promise<number[][]> {
  const cache = session.createCache(1, 32);
  const rows = causalRows(tokensOf(NUM_ROWS));
  const moved = { ...rows, positions: rows.positions.map((position) => position + firstPosition) };
  const output = await session.run(cache, batchOf(32, [moved]));
  const logits = rows.positions.map((_, row) => [...output.logits(row)]);
  cache.dispose();
  return logits;
}

describe.each(DEVICES)('positions of a long context on %s', (device) => {
  it('compute what one whole table does', async () => {
    const [long, short] = [await openLong(device), await openShort(device)];
    for (const first of [0, 240]) {
      expect(largestDifference(await logitsFrom(long, first), await logitsFrom(short, first))).toBeLessThan(
        2e-5,
      );
    }
  });

  it('matter only by their distances, however far they are', async () => {
    const [long, short] = [await openLong(device), await openShort(device)];
    const expected = await logitsFrom(short, 0);
    for (const first of [511, 512, 131_071, LONGEST - NUM_ROWS]) {
      expect(largestDifference(await logitsFrom(long, first), expected)).toBeLessThan(1e-4);
    }
    await expect(logitsFrom(long, LONGEST - NUM_ROWS + 1)).rejects.toThrow('is outside');
  });
});
