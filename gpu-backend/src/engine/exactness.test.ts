import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { oracleState, oracleStep } from './oracle.ts';
import { ar, dense, fitPlan } from './plan.ts';
import type { Outcome, Plan } from './plan.ts';
import type { Sampling } from './sample.ts';
import type { Sequence, SequenceOptions } from './sequence.ts';
import { step } from './step.ts';
import {
  committedNumbers,
  forEachCacheNumber,
  makeSequence,
  openFixture,
  PROMPT,
  recording,
  sequenceOptions,
} from './testing.ts';

const FIXTURES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar'];
const MAX_TOKENS = 24;

const samplings: fc.Arbitrary<Sampling> = fc.record({
  temperature: fc.constantFrom(0, 0.4, 0.8, 1, 1.5),
  topK: fc.constantFrom(0, 0, 1, 5, 20),
  topP: fc.constantFrom(1, 1, 0.5, 0.9),
  minP: fc.constantFrom(0, 0, 0.05, 0.3),
  seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});

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

async function plainText(session: ModelSession, options: SequenceOptions): Promise<number[]> {
  const state = oracleState(options);
  while (state.finishReason === undefined) await oracleStep(session, state, ar());
  return state.tokenIds.slice(options.promptIds.length);
}

function completion(sequence: Sequence): number[] {
  return sequence.tokenIds.slice(sequence.numPromptTokens);
}

async function decode(
  session: ModelSession,
  sequence: Sequence,
  next: (sequence: Sequence) => Plan,
): Promise<void> {
  while (sequence.finishReason === undefined) await step(session, sequence, next(sequence));
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
      const sampling = { temperature, topK: 0, topP: 0.95, minP: 0, seed: 0xfeed_0000_0000_0001n };
      const expected = await plainText(session, sequenceOptions({ sampling }));
      for (let draftLength = 1; draftLength <= 16; draftLength++) {
        const sequence = makeSequence(session, { sampling });
        await decode(session, sequence, (state) => fitted(dense(draftLength), state));
        expect(completion(sequence)).toEqual(expected);
      }
    }
  });

  it('the text is that of plain decoding, with a draft length that changes at every step', async () => {
    const draftLengths = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(samplings, draftLengths, async (sampling, lengths) => {
        const sequence = makeSequence(session, { sampling });
        let numSteps = 0;
        await decode(session, sequence, (state) =>
          fitted(dense(lengths[numSteps++ % lengths.length]!), state),
        );
        expect(completion(sequence)).toEqual(await plainText(session, sequenceOptions({ sampling })));
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
          const sequence = makeSequence(session, { sampling });
          const oracle = oracleState(options);
          for (let numSteps = 0; sequence.finishReason === undefined; numSteps++) {
            const plan = shapedPlan(shapes[numSteps % shapes.length]!, sequence, truth);
            const { tokenIds } = await step(session, sequence, plan);
            expect(tokenIds).toEqual(await oracleStep(session, oracle, plan));
            expect(sequence.drafts).toEqual(oracle.drafts);
            expect(sequence.finishReason).toBe(oracle.finishReason);
            const isHit = (o: Outcome): boolean =>
              o.accepted === tokenIds.length && o.correction === tokenIds.at(-1);
            if (plan.outcomes.some(isHit)) numCorrectionsHit += 1;
          }
          expect(completion(sequence)).toEqual(truth);
          await expectCacheOfOnePass(session, sequence);
        },
      ),
      { seed: 2, numRuns: 30 },
    );
    expect(numCorrectionsHit).toBeGreaterThan(50);
  });

  it('draft rows’ logits are bit for bit those of one causal pass over the text', async () => {
    const { session: recorded, runs } = recording(session);
    const sequence = makeSequence(session);
    await decode(recorded, sequence, (state) => fitted(dense(4), state));
    const causal = recording(session);
    const prefill = makeSequence(session, { promptIds: sequence.tokenIds.slice(0, -1), maxTokens: 1 });
    const numCommitted = sequence.numCommitted;
    await causal.session.run(prefill.cache, causalRows(sequence.tokenIds.slice(0, -1), prefill));
    const { vocabSize } = session.config;
    let numCompared = 0;
    for (const [index, { rows, logits }] of runs.entries()) {
      const numKept = runs[index + 1]?.rows.writeIndex ?? numCommitted;
      rows.logitRows.forEach((row, at) => {
        const column = rows.writeIndex + row;
        if (column >= numKept) return;
        const actual = logits.subarray(at * vocabSize, (at + 1) * vocabSize);
        const expected = causal.runs[0]!.logits.subarray(column * vocabSize, (column + 1) * vocabSize);
        expect(actual).toEqual(expected);
        numCompared += 1;
      });
    }
    expect(numCompared).toBeGreaterThanOrEqual(MAX_TOKENS - 1);
    await expectCacheOfOnePass(session, sequence);
  });

  it('a prefill as long as the context writes bit for bit what two-row passes write one by one', async () => {
    const { maxPositions } = session.config;
    const promptIds = Array.from({ length: maxPositions - 2 }, (_, at) => 3 + ((at * 7) % 40));
    const tokenwise = makeSequence(session, { promptIds: promptIds.slice(0, 1), maxTokens: maxPositions });
    while (tokenwise.numCommitted < promptIds.length - 1) {
      await step(session, tokenwise, ar());
      tokenwise.tokenIds.splice(tokenwise.numCommitted, Infinity, promptIds[tokenwise.numCommitted]!);
    }
    await step(session, tokenwise, ar());
    const atOnce = makeSequence(session, { promptIds });
    await step(session, atOnce, ar());
    expect(tokenwise.numCommitted).toBe(promptIds.length);
    expect(atOnce.tokenIds).toEqual(tokenwise.tokenIds);
    const numbers = [atOnce, tokenwise].map(({ cache }) =>
      committedNumbers(session, cache, promptIds.length),
    );
    expect(numbers[0]).toEqual(numbers[1]);
  });

  it('what stands in scratch columns changes no logit: ±1e4, and another sequence’s values', async () => {
    const clean = recording(session);
    const expected = makeSequence(session);
    await decode(clean.session, expected, (state) => fitted(dense(4), state));
    const other = makeSequence(session, { promptIds: [...PROMPT].reverse() });
    await decode(session, other, (state) => fitted(dense(4), state));
    const otherNumbers = committedNumbers(session, other.cache, other.numCommitted);
    for (const stale of [
      (at: number) => (at % 2 === 0 ? 1e4 : -1e4),
      (at: number) => otherNumbers[at % 1000] ?? 0,
    ]) {
      const dirty = recording(session, (cache, rows) => {
        forEachCacheNumber(session, cache, [rows.writeIndex, cache.capacity], (tensor, at) => {
          tensor[at] = stale(at);
        });
      });
      const sequence = makeSequence(session);
      await decode(dirty.session, sequence, (state) => fitted(dense(4), state));
      expect(sequence.tokenIds).toEqual(expected.tokenIds);
      expect(dirty.runs.map((run) => run.logits)).toEqual(clean.runs.map((run) => run.logits));
    }
  });
});

/** The committed columns are bit for bit those that one causal pass over the text writes to a fresh cache. */
async function expectCacheOfOnePass(session: ModelSession, sequence: Sequence): Promise<void> {
  const { numCommitted } = sequence;
  expect(numCommitted).toBe(sequence.tokenIds.length - 1);
  const fresh = makeSequence(session);
  await session.run(fresh.cache, causalRows(sequence.tokenIds.slice(0, numCommitted), fresh));
  expect(committedNumbers(session, sequence.cache, numCommitted)).toEqual(
    committedNumbers(session, fresh.cache, numCommitted),
  );
}

/** One causal pass over the tokens into the sequence's cache, with every row's logits. */
function causalRows(tokenIds: readonly number[], { cache }: Sequence) {
  cache.grow(64);
  const mask = new Uint8Array(tokenIds.length * cache.capacity);
  tokenIds.forEach((_, row) => mask.fill(1, row * cache.capacity, row * cache.capacity + row + 1));
  const all = Int32Array.from(tokenIds.keys());
  return { tokenIds: Int32Array.from(tokenIds), positions: all, writeIndex: 0, mask, logitRows: all };
}
