import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { oracleState, oracleStep } from './oracle.ts';
import { ar, dense } from './plan.ts';
import type { Plan } from './plan.ts';
import { Alone, GREEDY, openFixture, sampled, sequenceOptions } from './testing.ts';

const SAMPLED = sampled({ temperature: 1.2, topP: 0.9, minP: 0.02, seed: 77n });

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('qwen3-tidar');
});
afterAll(() => session.dispose());

/** The law of beta: at each position, the prefix and one block of k masks, from nothing. */
async function lawfulText(beta: number, k: number, sampling = GREEDY): Promise<number[]> {
  const state = oracleState(sequenceOptions({ beta, sampling }));
  while (state.finishReason === undefined) {
    await oracleStep(session, state, { numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens: k }] });
    state.drafts = [];
  }
  return state.tokenIds;
}

async function denseText(
  beta: number,
  k: number,
  sampling = GREEDY,
  committedIds: number[] = [],
): Promise<number[]> {
  const alone = new Alone(session, { beta, sampling, committedIds });
  await alone.decode(({ drafts }) => firstOrDense(k, drafts.length));
  return alone.sequence.tokenIds;
}

function firstOrDense(k: number, numDrafts: number): Plan {
  return numDrafts === k - 1 ? dense(k) : { numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens: k }] };
}

describe('beta, the trust in the causal rows', () => {
  it.each([0, 0.3, 0.5, 0.9])(
    '%f mixes raw logits: the text is that of prefix and k masks at each position',
    async (beta) => {
      for (const k of [2, 4, 6]) {
        for (const sampling of [GREEDY, SAMPLED]) {
          expect(await denseText(beta, k, sampling)).toEqual(await lawfulText(beta, k, sampling));
        }
      }
    },
  );

  it('changes the text where the two modes disagree, and depends on the draft length', async () => {
    const plain = await lawfulText(1, 4);
    expect(await denseText(0, 4)).not.toEqual(plain);
    expect(await denseText(0, 2)).not.toEqual(await denseText(0, 4));
    expect(await denseText(1, 4)).toEqual(plain);
  });

  it('gives the unbroken text after a resume', async () => {
    const unbroken = await denseText(0.5, 4, SAMPLED);
    const { promptIds, maxTokens } = sequenceOptions();
    for (let numTokens = 1; numTokens < maxTokens; numTokens += 5) {
      const committedIds = unbroken.slice(promptIds.length, promptIds.length + numTokens);
      expect(await denseText(0.5, 4, SAMPLED, committedIds)).toEqual(unbroken);
    }
  });

  it.each<{ other: string; plan: (numDrafts: number) => Plan }>([
    { other: 'plain decoding', plan: () => ar() },
    {
      other: 'a sparse plan',
      plan: (n) => ({ numDraftRows: 1 + n, outcomes: [{ accepted: 1, numMaskTokens: 4 }] }),
    },
    { other: 'another draft length', plan: (n) => (n === 0 ? dense(1) : dense(3)) },
    {
      other: 'a correction',
      plan: () => ({
        numDraftRows: 1,
        outcomes: [
          { accepted: 1, numMaskTokens: 4 },
          { accepted: 1, correction: 0, numMaskTokens: 4 },
        ],
      }),
    },
  ])('is refused by name with $other', async ({ plan }) => {
    const alone = new Alone(session, { beta: 0.5 });
    const decode = async (): Promise<void> => {
      await alone.step(firstOrDense(4, 0));
      await alone.step(plan(alone.sequence.drafts.length));
    };
    await expect(decode()).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('beta 0.5'),
    });
  });
});
