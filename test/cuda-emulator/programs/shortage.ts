/** Asks for a cache that the GPU has no room for, tells the answer, and goes on with a smaller one. */
import { TidarError } from '@tidar/shared/errors.ts';
import { openModel } from '../../../gpu-backend/src/device/open.ts';
import { batchOf, causalRows, tokensOf } from '../../../gpu-backend/src/device/testing.ts';
import { loadModelFolder } from '../../../gpu-backend/src/model/folder.ts';
import { asked, mark, tell } from './shared.ts';

export interface ShortageTold {
  readonly refusal: string;
  /** Rows of logits that the next pass gave. */
  readonly numRows: number;
}

const { path, numColumns } = asked<{ path: string; numColumns: number }>();
const session = await openModel(loadModelFolder(path), { numThreads: 1, device: 'cuda' });
mark('too large');
let refusal = '';
try {
  session.createCache(1, numColumns);
} catch (error) {
  if (!(error instanceof TidarError)) throw error;
  refusal = error.message;
}
mark('small');
const cache = session.createCache(1, 32);
const batch = batchOf(32, [causalRows(tokensOf(3))]);
const output = await session.run(cache, batch);
const numRows = Array.from({ length: batch.numLogitRows }, (_, row) => output.logits(row)).length;
mark('end');
cache.dispose();
await session.dispose();
tell({ refusal, numRows } satisfies ShortageTold);
