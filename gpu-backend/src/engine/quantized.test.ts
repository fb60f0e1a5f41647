import { cpSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openModel } from '../device/open.ts';
import { loadModelFolder } from '../model/folder.ts';
import { QUANTIZATIONS } from '../model/quantization/scheme.ts';
import { fixturePath, temporaryFolder } from '../model/testing/temporary-folder.ts';
import { plainText } from './oracle.ts';
import { dense, fitPlan } from './plan.ts';
import { Alone, sampled, sequenceOptions } from './testing.ts';

const CASES = ['llama-tidar', 'nemotron-tidar'].flatMap((name) =>
  QUANTIZATIONS.map((quantize) => ({ name, quantize })),
);

describe.each(CASES)('decoding $name in $quantize is exact', ({ name, quantize }) => {
  it('the text is that of plain decoding of the same weights, for every draft length, greedy and sampled', async () => {
    const folder = temporaryFolder();
    cpSync(fixturePath(name), folder, { recursive: true });
    const session = await openModel(loadModelFolder(folder, { quantize }), { numThreads: 1 });
    for (const temperature of [0, 0.9]) {
      const sampling = sampled({ temperature, topP: 0.95, seed: 0xfeed_0000_0000_0002n });
      const expected = await plainText(session, sequenceOptions({ sampling }));
      for (const draftLength of [1, 2, 3, 5, 8, 16]) {
        const text = await new Alone(session, { sampling }).decode(({ drafts, numRemainingTokens }) =>
          fitPlan(dense(draftLength), {
            numDraftRows: 1 + drafts.length,
            numRemainingTokens,
            numPositions: Infinity,
          }),
        );
        expect(text).toEqual(expected);
      }
    }
    await session.dispose();
  });
});
