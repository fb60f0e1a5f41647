import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelSession } from '../../device/device.ts';
import { soloBatch } from '../bench/record-acceptance.ts';

const SIZES = [2, 3, 5, 12, 24, 48];
const MAX_ROWS = 96;

/**
 * The largest difference between a text's logits in passes of different shapes: of all rows at once, and of few at a
 * time. The CPU's are the same bit for bit; elsewhere another shape may take another kernel, which rounds otherwise.
 */
export async function shapeDifference(session: ModelSession, text: readonly number[]): Promise<number> {
  const tokenIds = text.slice(0, MAX_ROWS);
  const whole = await logitsOf(session, tokenIds, tokenIds.length);
  let most = 0;
  for (const size of SIZES.filter((each) => each < tokenIds.length)) {
    const parts = await logitsOf(session, tokenIds, size);
    parts.forEach((logits, row) =>
      logits.forEach((logit, id) => {
        most = Math.max(most, Math.abs(logit - (whole[row]?.[id] ?? NaN)));
      }),
    );
  }
  if (Number.isNaN(most)) throw new TidarError('internal', 'The device gave logits that are no numbers.');
  return most;
}

/** Of as many rows as there are whole passes of that size for. */
async function logitsOf(
  session: ModelSession,
  text: readonly number[],
  size: number,
): Promise<Float32Array[]> {
  const cache = session.createCache(1, text.length);
  const found: Float32Array[] = [];
  for (let start = 0; start + size <= text.length; start += size) {
    const places = Array.from({ length: size }, (_, row) => row);
    const positions = places.map((row) => start + row);
    const tokenIds = text.slice(start, start + size);
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
