import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelSession } from '../../device/device.ts';
import { soloBatch } from '../bench/record-acceptance.ts';

const NUM_ROWS = 24;
const SIZES = [2, 3, 5, 12];

/**
 * The largest difference between a row's logits in passes of different shapes: of 24 rows at once, and of few at a
 * time. The CPU's are the same bit for bit; elsewhere another shape may take another kernel, which rounds otherwise.
 */
export async function shapeDifference(session: ModelSession): Promise<number> {
  const whole = await logitsOf(session, NUM_ROWS);
  let most = 0;
  for (const size of SIZES) {
    const parts = await logitsOf(session, size);
    parts.forEach((logits, row) =>
      logits.forEach((logit, id) => {
        most = Math.max(most, Math.abs(logit - (whole[row]?.[id] ?? NaN)));
      }),
    );
  }
  if (Number.isNaN(most)) throw new TidarError('internal', 'The device gave logits that are no numbers.');
  return most;
}

async function logitsOf(session: ModelSession, size: number): Promise<Float32Array[]> {
  const { vocabSize } = session.config;
  const cache = session.createCache(1, NUM_ROWS);
  const found: Float32Array[] = [];
  for (let start = 0; start + size <= NUM_ROWS; start += size) {
    const places = Array.from({ length: size }, (_, row) => row);
    const positions = places.map((row) => start + row);
    const tokenIds = positions.map((position) => (7919 * position + 3) % Math.max(1, vocabSize - 2));
    const rows = { tokenIds, positions, writeIndex: start, logitRows: places };
    const output = await session.run(
      cache,
      soloBatch(cache, rows, (row, column) => column <= start + row),
    );
    found.push(...places.map((row) => output.logits(row).slice()));
  }
  cache.dispose();
  return found;
}
