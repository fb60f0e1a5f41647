import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { tokenLogprobs } from './sampling/logprobs.ts';
import { wholeRow } from './sampling/row.ts';
import { dense, fitPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Sequence, SequenceOptions } from './sequence.ts';
import type { StepResult } from './step-result.ts';
import { Alone, openFixture, PROMPT, recording, sampled } from './testing.ts';
import type { RecordedRun } from './testing.ts';
import type { PassTrace } from './trace.ts';

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('qwen3-tidar');
});
afterAll(() => session.dispose());

type Planner = (sequence: Sequence) => Plan;
const fitted =
  (plan: (sequence: Sequence) => Plan): Planner =>
  (sequence) =>
    fitPlan(plan(sequence), {
      numDraftRows: 1 + sequence.drafts.length,
      numRemainingTokens: sequence.numRemainingTokens,
      numPositions: Infinity,
    });

/** Draws for each outcome blind, and for one with the runner-up of a draft in its place. */
const branching = fitted(({ drafts }) => {
  const correction = drafts[0]?.secondBest ?? -1;
  const blind = [1, 2, 4].map((accepted) => ({ accepted, numMaskTokens: 4 }));
  const corrected = correction < 0 ? [] : [{ accepted: 1, correction, numMaskTokens: 3 }];
  return { numDraftRows: 4, outcomes: [...blind, ...corrected] };
});

const PLANNERS: [name: string, planner: Planner, options: Partial<SequenceOptions>][] = [
  ['plain', () => ({ numDraftRows: 1, outcomes: [] }), {}],
  ['dense', fitted(() => dense(4)), {}],
  ['dense, drawn', fitted(() => dense(6)), { sampling: sampled({ temperature: 1.1, seed: 5n }) }],
  ['with a correction', branching, { sampling: sampled({ temperature: 0.9, seed: 3n }) }],
];

interface Pass {
  readonly result: StepResult;
  readonly trace: PassTrace;
  readonly run: RecordedRun;
  /** [rows, capacity] as the device had it. */
  readonly mask: Uint8Array;
}

async function traced(planner: Planner, options: Partial<SequenceOptions> = {}): Promise<Pass[]> {
  const masks: Uint8Array[] = [];
  const recorded = recording(session, (_, batch) => void masks.push(batch.mask.slice()));
  const alone = new Alone(recorded.session, { isTraced: true, ...options });
  const passes: Pass[] = [];
  while (alone.sequence.finishReason === undefined) {
    const result = await alone.step(planner(alone.sequence));
    const [trace, run, mask] = [result.trace, recorded.runs.at(-1), masks.at(-1)];
    if (trace === undefined || run === undefined || mask === undefined) throw new Error('no trace');
    passes.push({ result, trace, run, mask });
  }
  return passes;
}

describe.each(PLANNERS)('the trace of a text, %s', (_, planner, options) => {
  let passes: Pass[];
  beforeAll(async () => {
    passes = await traced(planner, options);
  });

  it('has the rows that the device ran, each where it stood', () => {
    for (const { trace, run } of passes) {
      const { tokenIds, positions } = trace.rows;
      const first = trace.numPendingRows;
      expect(tokenIds).toEqual(run.tokenIds.slice(first, first + tokenIds.length));
      expect(positions).toEqual(run.positions.slice(first, first + positions.length));
      expect(trace.numPrefixTokens).toBe(positions[0]);
    }
  });

  it('tells what each row saw: of all columns, those that the device was given', () => {
    for (const { trace, run, mask } of passes) {
      const { tokenIds, depths, blockStarts, blockEnds } = trace.rows;
      const { numPrefixTokens: prefix, numPendingRows } = trace;
      tokenIds.forEach((_row, row) => {
        const at = (numPendingRows + row) * run.capacity;
        const seen = [...mask.subarray(at, at + run.capacity)];
        const told = seen.map((_column, column) => {
          const inBlock = column - prefix >= blockStarts[row]! && column - prefix < blockEnds[row]!;
          return column < prefix + depths[row]! || inBlock ? 1 : 0;
        });
        expect(told).toEqual(seen);
      });
    }
  });

  it('names the decided tokens, in order, and which drafts they were', () => {
    for (const { trace, result } of passes) {
      expect(trace.tokens.map(({ tokenId }) => tokenId)).toEqual(result.tokenIds);
      expect(trace.outcome).toBe(result.outcome);
      const numRight = trace.drafts.filter(({ isAccepted }) => isAccepted).length;
      expect(trace.tokens.filter(({ draft }) => draft === 'accepted')).toHaveLength(numRight);
      expect(numRight).toBe(result.numAccepted - (trace.tokens.at(-1)?.draft === 'accepted' ? 0 : 1));
      for (const { row, tokenId } of trace.drafts)
        if (row > 0) expect(trace.rows.tokenIds[row]).toBe(tokenId);
    }
  });

  it('gives each token the probability in its causal row, and a draft that in the row it came from', () => {
    passes.forEach(({ trace, run, result }, at) => {
      const logitsOf = (from: Pass, row: number): Float32Array =>
        from.run.logits[from.run.logitRows.indexOf(from.trace.numPendingRows + row)]!;
      trace.tokens.forEach(({ tokenId, arLogprob }, index) => {
        const row = wholeRow(run.logits[run.logitRows.indexOf(trace.numPendingRows + index)]!);
        expect(arLogprob).toBe(tokenLogprobs(row, tokenId, 0).logprob);
        expect(arLogprob).toBe(result.logprobs[index]?.logprob);
      });
      const next = passes[at + 1];
      if (next === undefined) return;
      const told = next.trace.drafts.map(({ tokenId, logprob }) => ({ tokenId, logprob }));
      const predicted = trace.predicted.map(({ tokenId, logprob }) => ({ tokenId, logprob }));
      if (trace.outcome >= 0) expect(told).toEqual(predicted);
      for (const { row, tokenId, logprob } of trace.predicted) {
        expect(logprob).toBe(tokenLogprobs(wholeRow(logitsOf(passes[at]!, row)), tokenId, 0).logprob);
      }
      next.trace.tokens.forEach(({ tokenId, draftLogprob }, index) => {
        const from = trace.predicted[index];
        if (from === undefined) return;
        const row = wholeRow(logitsOf(passes[at]!, from.row));
        expect(draftLogprob).toBe(tokenLogprobs(row, tokenId, 0).logprob);
      });
    });
  });

  it('changes nothing in the text, and is not there where nobody asks', async () => {
    const alone = new Alone(session, options);
    const results: StepResult[] = [];
    while (alone.sequence.finishReason === undefined) results.push(await alone.step(planner(alone.sequence)));
    expect(results.flatMap(({ tokenIds }) => tokenIds)).toEqual(
      passes.flatMap(({ result }) => result.tokenIds),
    );
    expect(results.every(({ trace, logprobs }) => trace === undefined && logprobs.length === 0)).toBe(true);
    expect(alone.sequence.drafts.every((draft) => draft.odds === undefined)).toBe(true);
  });
});

describe('a trace', () => {
  it('of a prompt counts its rows and shows the last alone', async () => {
    const [first] = await traced(fitted(() => dense(4)));
    expect(first?.trace.numPendingRows).toBe(PROMPT.length - 1);
    expect(first?.trace.numPrefixTokens).toBe(PROMPT.length - 1);
    expect(first?.trace.rows.kinds).toEqual(['decided', 'mask', 'mask', 'mask', 'mask']);
  });

  it('sees drafts that are right and drafts that are wrong', async () => {
    const tokens = (await traced(branching, PLANNERS[3]![2])).flatMap(({ trace }) => trace.tokens);
    const kinds = new Set(tokens.map(({ draft }) => draft));
    expect(kinds).toEqual(new Set(['accepted', 'rejected', 'none']));
  });

  it('below full trust has the probability as beta mixes it, between those of both modes or beside them', async () => {
    const constant: Planner = ({ drafts }) =>
      drafts.length === 3 ? dense(4) : { numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens: 4 }] };
    for (const { trace, run } of await traced(constant, { beta: 0.4 })) {
      trace.tokens.forEach(({ tokenId, mixedLogprob }, at) => {
        const logits = (row: number): Float32Array =>
          run.logits[run.logitRows.indexOf(trace.numPendingRows + row)]!;
        const causal = logits(at);
        const mask = logits(trace.outcomes[at]!.firstRow);
        const mixed = Float64Array.from(causal, (logit, id) => 0.4 * logit + 0.6 * mask[id]!);
        expect(mixedLogprob).toBeCloseTo(tokenLogprobs(wholeRow(mixed), tokenId, 0).logprob, 9);
      });
    }
  });

  it('has no probability for drafts that came from elsewhere, and says whether they were right', async () => {
    const alone = new Alone(session, { isTraced: true });
    const plain = await new Alone(session).decode(() => ({ numDraftRows: 1, outcomes: [] }));
    await alone.step({ numDraftRows: 1, outcomes: [] });
    const wrong = plain[2] === 0 ? 1 : 0;
    alone.sequence.propose([plain[1]!, wrong].map((tokenId) => ({ tokenId, secondBest: -1, margin: 0 })));
    const { trace } = await alone.step({ numDraftRows: 3, outcomes: [] });
    expect(trace?.drafts).toEqual([
      { tokenId: plain[1], logprob: undefined, row: 1, isAccepted: true },
      { tokenId: wrong, logprob: undefined, row: 2, isAccepted: false },
    ]);
    expect(trace?.tokens.map(({ draft }) => draft)).toEqual(['accepted', 'rejected']);
  });

  it('of block diffusion tells which masks became tokens in each pass, and all of them once', async () => {
    const diffusion = { blockLength: 4, strategy: 'confidence', tokensPerPass: 2 } as const;
    const passes = await traced(() => ({ numDraftRows: 0, outcomes: [], numBlockTokens: 4 }), { diffusion });
    const fixed = passes.flatMap(({ trace }) =>
      trace.predicted.map(({ row, tokenId, logprob }) => ({
        at: trace.rows.positions[row]!,
        tokenId,
        logprob,
      })),
    );
    const inOrder = fixed.toSorted((a, b) => a.at - b.at);
    const decided = passes.flatMap(({ trace }) => trace.tokens);
    expect(inOrder.map(({ tokenId }) => tokenId).slice(0, decided.length)).toEqual(
      decided.map(({ tokenId }) => tokenId),
    );
    expect(decided.map(({ draftLogprob }) => draftLogprob)).toEqual(
      inOrder.map(({ logprob }) => logprob).slice(0, decided.length),
    );
    expect(decided.every(({ arLogprob }) => arLogprob === undefined)).toBe(true);
    expect(passes[1]?.trace.rows.kinds.toSorted()).toEqual(['fixed', 'fixed', 'mask', 'mask']);
  });
});
