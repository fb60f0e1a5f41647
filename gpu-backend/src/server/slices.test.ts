import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateOptions } from '../decode/generate.ts';
import { recording, sampled } from '../engine/testing.ts';
import type { EngineRequest } from './engine-messages.ts';
import { Demo } from './testing/desk.ts';
import type { Answer, Desk } from './testing/desk.ts';

let demo: Demo;
beforeAll(async () => {
  demo = await Demo.open();
});
afterAll(() => demo.session.dispose());

const dense = (beta = 1): GenerateOptions['decoder'] => ({
  type: 'tidar',
  plan: 'dense',
  draftLength: 5,
  beta,
});
const DECODERS: readonly GenerateOptions['decoder'][] = [
  { type: 'ar' },
  { type: 'diffusion', blockLength: 5, strategy: 'confidence', tokensPerPass: 2 },
  { type: 'diffusion', blockLength: 4, strategy: 'left-to-right', tokensPerPass: 2 },
  { type: 'diffusion', blockLength: 6, strategy: 'threshold', threshold: 0.5 },
  dense(),
  dense(0.5),
  ...(['auto', 'sparse', 'branches', 'two-pass'] as const).map((plan) => ({
    type: 'tidar' as const,
    plan,
    draftLength: 4,
    beta: 1,
  })),
];

/** Requests whose state has something that a cut could lose: penalties, held-back text, log-probabilities, choices. */
const requests = fc
  .record({
    decoder: fc.constantFrom(...DECODERS),
    seed: fc.bigInt({ min: 0n, max: 1n << 60n }),
    repetitionPenalty: fc.constantFrom(1, 1.2),
    minTokens: fc.constantFrom(0, 12),
    stop: fc.constantFrom<string[][]>([], ['the ', 'ing'], ['a', 'zzz']),
    numChoices: fc.integer({ min: 1, max: 3 }),
    logprobs: fc.constantFrom(undefined, 2),
  })
  .map(({ decoder, seed, repetitionPenalty, minTokens, stop, numChoices, logprobs }) => {
    const sampling = sampled({ temperature: 1.3, seed, repetitionPenalty, minTokens });
    return demo.request({ decoder, sampling, logprobs, maxTokens: 32 }, { numChoices, stop });
  });
const slices = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 32, maxLength: 32 });

/** Runs it slice by slice; checks each time that nobody went past the grant, and that all stand at it or are done. */
async function runInSlices(desk: Desk, request: EngineRequest, sizes: readonly number[]): Promise<void> {
  let endToken = sizes[0]!;
  desk.submit(1, { ...request, endToken });
  for (const size of sizes.slice(1)) {
    await desk.run();
    for (const { tokenIds, finishReason } of desk.answer(1).choices) {
      if (finishReason === undefined) expect(tokenIds.length).toBe(endToken);
      expect(tokenIds.length).toBeLessThanOrEqual(endToken);
    }
    endToken += size;
    desk.scheduler.extend(1, endToken);
  }
  await desk.run();
}

const logprobsOf = ({ events }: Answer) =>
  [0, 1, 2].map((choice) =>
    events.flatMap((event) =>
      event.type === 'step' && event.choice === choice ? (event.logprobs ?? []) : [],
    ),
  );

describe('a text in slices', () => {
  it('is the text in one piece, to the last bit, wherever the slices end', async () => {
    await fc.assert(
      fc.asyncProperty(requests, slices, async (request, sizes) => {
        const desk = demo.desk();
        await runInSlices(desk, request, sizes);
        const whole = await demo.answerTo(request);
        expect(desk.answer(1).choices).toEqual(whole.choices);
        expect(logprobsOf(desk.answer(1))).toEqual(logprobsOf(whole));
        expect(desk.engine.numActive).toBe(0);
        desk.engine.dispose();
      }),
      { seed: 6, numRuns: 24 },
    );
  });

  it('takes no part in any pass while it waits, and keeps nobody from taking part', async () => {
    const recorded = recording(demo.session);
    const desk = demo.desk(recorded.session);
    const other = demo.request({ sampling: sampled({ temperature: 1.3, seed: 9n }) });
    desk.submit(1, { ...demo.request(), endToken: 5 });
    await desk.run();
    expect(desk.answer(1).choices[0]!.tokenIds).toHaveLength(5);
    const numRuns = recorded.runs.length;
    desk.submit(2, other);
    await desk.run();
    expect(recorded.runs.slice(numRuns).every(({ writeIndexes }) => writeIndexes.length === 1)).toBe(true);
    expect(desk.engine.numActive).toBe(1);
    desk.scheduler.extend(1, Infinity);
    await desk.run();
    expect(desk.answer(1).choices).toEqual((await demo.answerTo(demo.request())).choices);
    expect(desk.answer(2).choices).toEqual((await demo.answerTo(other)).choices);
    desk.engine.dispose();
  });

  it('is the same where it begins after resumed tokens, some choices at the slice’s end already', async () => {
    const request = demo.request({}, { numChoices: 3 });
    const whole = await demo.answerTo(request);
    const committedByChoice = [8, 3, 5].map((n, index) => whole.choices[index]!.tokenIds.slice(0, n));
    const desk = demo.desk();
    desk.submit(1, { ...request, committedByChoice, endToken: 8 });
    await desk.run();
    expect(desk.answer(1).choices.map(({ tokenIds }) => tokenIds.length)).toEqual([0, 5, 3]);
    desk.scheduler.extend(1, Infinity);
    await desk.run();
    desk.answer(1).choices.forEach(({ tokenIds }, index) => {
      expect([...committedByChoice[index]!, ...tokenIds]).toEqual(whole.choices[index]!.tokenIds);
    });
    desk.engine.dispose();
  });
});
