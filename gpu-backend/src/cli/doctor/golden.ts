import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { ForwardOutput, ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import type { OpenOptions } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { soloBatch } from '../bench/record-acceptance.ts';
import type { Golden } from './task.ts';

const row = z.array(z.number());
const expectedSchema = z.object({
  causalLogits: z.object({ tokens: row, logits: z.array(row) }),
  step: z.object({
    prefix: row,
    rows: row,
    positions: row,
    mask: z.array(row),
    logits: z.array(row),
  }),
});
type Expected = z.infer<typeof expectedSchema>;

/** The tests' tolerance on the CPU; a GPU may shorten float32 factors to 11 bits, of logits up to 9. */
const CPU_LIMIT = 2e-4;
const GPU_LIMIT = 5e-2;

/** The numbers of an independent oracle in float64, computed on the device. */
export async function goldenNumbers(fixture: string, options: OpenOptions): Promise<Golden> {
  const expected = expectedSchema.parse(JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')));
  const session = await openModel(loadModelFolder(fixture), { ...options, precision: undefined });
  try {
    return {
      fixture: basename(fixture),
      causalError: await causalError(session, expected),
      stepError: await stepError(session, expected),
      limit: session.gpu === undefined ? CPU_LIMIT : GPU_LIMIT,
    };
  } finally {
    await session.dispose();
  }
}

async function causalError(session: ModelSession, { causalLogits }: Expected): Promise<number> {
  const { tokens, logits } = causalLogits;
  const cache = session.createCache(1, tokens.length + 1);
  const positions = [...tokens.keys()];
  const rows = { tokenIds: tokens, positions, writeIndex: 0, logitRows: positions };
  const output = await session.run(
    cache,
    soloBatch(cache, rows, (at, column) => column <= at),
  );
  const error = largestError(output, logits);
  cache.dispose();
  return error;
}

/** One step on a cached prefix: drafts, and blocks of masks with a mask of their own. */
async function stepError(session: ModelSession, { step }: Expected): Promise<number> {
  const { prefix, rows: tokenIds, positions, mask, logits } = step;
  const cache = session.createCache(1, prefix.length + tokenIds.length);
  const places = [...prefix.keys()];
  const before = { tokenIds: prefix, positions: places, writeIndex: 0, logitRows: places };
  await session.run(
    cache,
    soloBatch(cache, before, (at, column) => column <= at),
  );
  const rows = { tokenIds, positions, writeIndex: prefix.length, logitRows: [...tokenIds.keys()] };
  const output = await session.run(
    cache,
    soloBatch(cache, rows, (at, column) => mask[at]?.[column] === 1),
  );
  const error = largestError(output, logits);
  cache.dispose();
  return error;
}

function largestError(found: ForwardOutput, expected: readonly (readonly number[])[]): number {
  const errors = expected.flatMap((logits, index) => {
    const own = found.logits(index);
    return logits.map((logit, id) => Math.abs(logit - (own[id] ?? NaN)));
  });
  return errors.reduce((most, error) => (error <= most ? most : error), 0);
}
