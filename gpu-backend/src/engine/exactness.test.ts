import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { oracleState, oracleStep, plainText } from './oracle.ts';
import { ar, dense, fitPlan, prefillChunk } from './plan.ts';
import type { Outcome, Plan } from './plan.ts';
import type { Sampling } from './sampling/settings.ts';
import type { Sequence } from './sequence.ts';
import {
  Alone,
  columnNumbers,
  forEachCacheNumber,
  freshPrefill,
  openFixture,
  PROMPT,
  recording,
  sampled,
  sequenceOptions,
} from './testing.ts';

const FIXTURES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'];
const MAX_TOKENS = 24;

const samplings: fc.Arbitrary<Sampling> = fc
  .record({
    temperature: fc.constantFrom(0, 0.4, 0.8, 1, 1.5),
    topK: fc.constantFrom(0, 0, 1, 5, 20),
    topP: fc.constantFrom(1, 1, 0.5, 0.9),
    minP: fc.constantFrom(0, 0, 0.05, 0.3),
    seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    presencePenalty: fc.constantFrom(0, 0, 0.7),
    frequencyPenalty: fc.constantFrom(0, 0, 0.4),
    repetitionPenalty: fc.constantFrom(1, 1, 1.3),
    logitBias: fc.constantFrom([], [[7, 2.5] as const, [26, -100] as const]),
  })
  .map(sampled);

/** A plan's shape, drawn before the state that it will meet is known. */
interface PlanShape {
  numDrafts: number;
  outcomes: {
    accepted: number;
    expects: 'anything' | 'second best' | 'the truth' | 'a token';
    token: number;
    n: number;
  }[];
}

const planShapes: fc.Arbitrary<PlanShape> = fc.record({
  numDrafts: fc.nat(6),
  outcomes: fc.array(
    fc.record({
      accepted: fc.nat(6),
      expects: fc.constantFrom('anything', 'second best', 'the truth', 'a token'),
      token: fc.nat(47),
      n: fc.nat(6),
    }),
    { maxLength: 8 },
  ),
});

/** Fits a shape to the state. `truth` is the text to come: so that corrections are hit often, not rarely. */
function shapedPlan(shape: PlanShape, sequence: Sequence, truth: readonly number[]): Plan {
  const { drafts, tokenIds } = sequence;
  const numDraftRows = 1 + (shape.numDrafts % (1 + drafts.length));
  const outcomes = new Map<string, Outcome>();
  for (const { expects, token, n, ...shaped } of shape.outcomes) {
    const accepted = 1 + (shaped.accepted % numDraftRows);
    const rejected = accepted < numDraftRows ? drafts[accepted - 1]?.tokenId : undefined;
    const corrections = {
      anything: undefined,
      'second best': drafts[accepted - 1]?.secondBest,
      'the truth': truth[tokenIds.length - sequence.numPromptTokens + accepted - 1],
      'a token': token,
    };
    const expected = corrections[expects] ?? -1;
    const correction = expected >= 0 && expected !== rejected ? expected : undefined;
    const numMaskTokens = correction === undefined ? n + 1 : n;
    outcomes.set(`${accepted} ${correction}`, { accepted, correction, numMaskTokens });
  }
  return { numDraftRows, outcomes: [...outcomes.values()] };
}

function fitted(plan: Plan, { drafts, numRemainingTokens }: Sequence): Plan {
  return fitPlan(plan, { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions: Infinity });
}

describe.each(FIXTURES)('decoding %s is exact', (name) => {
  let session: ModelSession;
  beforeAll(async () => {
    session = await openFixture(name);
  });
  afterAll(() => session.dispose());

  it('the text is that of plain decoding, for every draft length from 1 to 16, greedy and sampled', async () => {
    for (const temperature of [0, 0.8, 1.3]) {
      const sampling = sampled({ temperature, topP: 0.95, seed: 0xfeed_0000_0000_0001n });
      const expected = await plainText(session, sequenceOptions({ sampling }));
      for (let draftLength = 1; draftLength <= 16; draftLength++) {
        const alone = new Alone(session, { sampling });
        expect(await alone.decode((state) => fitted(dense(draftLength), state))).toEqual(expected);
      }
    }
  });

  it('the text is that of plain decoding, with a draft length that changes at every step', async () => {
    const draftLengths = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(samplings, draftLengths, async (sampling, lengths) => {
        let numSteps = 0;
        const text = await new Alone(session, { sampling }).decode((state) =>
          fitted(dense(lengths[numSteps++ % lengths.length]!), state),
        );
        expect(text).toEqual(await plainText(session, sequenceOptions({ sampling })));
      }),
      { seed: 1, numRuns: 25 },
    );
  });

  it('any plans, corrections included: tokens, accepted counts and drafts are the oracle’s at every step', async () => {
    let numCorrectionsHit = 0;
    await fc.assert(
      fc.asyncProperty(
        samplings,
        fc.array(planShapes, { minLength: 1, maxLength: 10 }),
        async (sampling, shapes) => {
          const options = sequenceOptions({ sampling });
          const truth = await plainText(session, options);
          const alone = new Alone(session, { sampling });
          const { sequence } = alone;
          const oracle = oracleState(options);
          for (let numSteps = 0; sequence.finishReason === undefined; numSteps++) {
            const plan = shapedPlan(shapes[numSteps % shapes.length]!, sequence, truth);
            const { tokenIds } = await alone.step(plan);
            expect(tokenIds).toEqual(await oracleStep(session, oracle, plan));
            expect(sequence.drafts).toEqual(oracle.drafts);
            expect(sequence.finishReason).toBe(oracle.finishReason);
            const isHit = (o: Outcome): boolean =>
              o.accepted === tokenIds.length && o.correction === tokenIds.at(-1);
            if (plan.outcomes.some(isHit)) numCorrectionsHit += 1;
          }
          expect(sequence.tokenIds.slice(PROMPT.length)).toEqual(truth);
          await expectCacheOfOnePass(session, alone);
        },
      ),
      { seed: 2, numRuns: 30 },
    );
    expect(numCorrectionsHit).toBeGreaterThan(50);
  });

  it('draft rows’ logits are bit for bit those of one causal pass over the text', async () => {
    const { session: recorded, runs } = recording(session);
    const alone = new Alone(recorded);
    await alone.decode((state) => fitted(dense(4), state));
    const { numCommitted, tokenIds } = alone.sequence;
    const causal = await freshPrefill(session, tokenIds.slice(0, -1));
    let numCompared = 0;
    for (const [index, { writeIndexes, logitRows, logits }] of runs.entries()) {
      const numKept = runs[index + 1]?.writeIndexes[0] ?? numCommitted;
      logitRows.forEach((row, at) => {
        const column = writeIndexes[0]! + row;
        if (column >= numKept) return;
        expect(logits[at]).toEqual(causal.logits[column]);
        numCompared += 1;
      });
    }
    expect(numCompared).toBeGreaterThanOrEqual(MAX_TOKENS - 1);
    await expectCacheOfOnePass(session, alone);
  });

  it('a prefill as long as the context writes bit for bit what chunks of any sizes and two-row passes write', async () => {
    const { maxPositions } = session.config;
    const promptIds = Array.from({ length: maxPositions - 2 }, (_, at) => 3 + ((at * 7) % 40));
    const atOnce = new Alone(session, { promptIds });
    await atOnce.step(ar());
    expect(atOnce.sequence.numCommitted).toBe(promptIds.length);
    const expected = columnNumbers(session, atOnce.cache, 0, promptIds.length);
    for (const sizes of [[1], [3, 64, 7, 2], [maxPositions - 3]]) {
      const chunked = new Alone(session, { promptIds });
      for (let at = 0; chunked.sequence.numPendingTokens > 1; at++) {
        const numTokens = Math.min(sizes[at % sizes.length]!, chunked.sequence.numPendingTokens - 1);
        expect((await chunked.step(prefillChunk(numTokens))).tokenIds).toEqual([]);
      }
      await chunked.step(ar());
      expect(chunked.sequence.tokenIds).toEqual(atOnce.sequence.tokenIds);
      expect(columnNumbers(session, chunked.cache, 0, promptIds.length)).toEqual(expected);
    }
  });

  it('what stands in scratch columns changes no logit: ±1e4, and another sequence’s values', async () => {
    const clean = recording(session);
    const expected = await new Alone(clean.session).decode((state) => fitted(dense(4), state));
    const other = new Alone(session, { promptIds: [...PROMPT].reverse() });
    await other.decode((state) => fitted(dense(4), state));
    const otherNumbers = columnNumbers(session, other.cache, 0, other.sequence.numCommitted);
    for (const stale of [
      (at: number) => (at % 2 === 0 ? 1e4 : -1e4),
      (at: number) => otherNumbers[at % 1000] ?? 0,
    ]) {
      const dirty = recording(session, (cache, batch) => {
        forEachCacheNumber(session, cache, 0, [batch.writeIndexes[0]!, cache.capacity], (tensor, at) => {
          tensor[at] = stale(at);
        });
      });
      expect(await new Alone(dirty.session).decode((state) => fitted(dense(4), state))).toEqual(expected);
      expect(dirty.runs.map((run) => run.logits)).toEqual(clean.runs.map((run) => run.logits));
    }
  });
});

/** The committed columns are bit for bit those that one causal pass over the text writes to a fresh cache. */
async function expectCacheOfOnePass(session: ModelSession, { sequence, cache }: Alone): Promise<void> {
  const { numCommitted, tokenIds } = sequence;
  expect(numCommitted).toBe(tokenIds.length - 1);
  const fresh = await freshPrefill(session, tokenIds.slice(0, numCommitted));
  expect(columnNumbers(session, cache, 0, numCommitted)).toEqual(fresh.numbers);
}
