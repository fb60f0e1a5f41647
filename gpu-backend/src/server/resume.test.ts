import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateOptions } from '../decode/generate.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import { sampled } from '../engine/testing.ts';
import type { EngineRequest } from './engine-messages.ts';
import type { CompileGrammar } from './grammars.ts';
import { Demo } from './testing/desk.ts';
import type { Answer } from './testing/desk.ts';

let demo: Demo;
let compile: CompileGrammar;
beforeAll(async () => {
  demo = await Demo.open();
  compile = await demo.openGrammars();
});
afterAll(() => demo.session.dispose());

const DECODERS: readonly GenerateOptions['decoder'][] = [
  { type: 'ar' },
  { type: 'diffusion', blockLength: 5, strategy: 'confidence', tokensPerPass: 2 },
  { type: 'diffusion', blockLength: 4, strategy: 'left-to-right', tokensPerPass: 2 },
  { type: 'diffusion', blockLength: 6, strategy: 'threshold', threshold: 0.5 },
  { type: 'tidar', plan: 'dense', draftLength: 5, beta: 0.5 },
  ...(['auto', 'dense', 'sparse', 'branches', 'two-pass'] as const).map((plan) => ({
    type: 'tidar' as const,
    plan,
    draftLength: 4,
    beta: 1,
  })),
];
const GRAMMARS: readonly (GrammarSpec | undefined)[] = [
  undefined,
  { type: 'regex', pattern: '[a-f]{3}( [0-9]{2,4}){2,9}' },
  {
    type: 'json_schema',
    schema: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'string' } } },
  },
];

/** Requests whose state is more than their last token: penalties, grammars, held-back text, least lengths. */
const requests = fc
  .record({
    decoder: fc.constantFrom(...DECODERS),
    grammar: fc.constantFrom(...GRAMMARS),
    seed: fc.bigInt({ min: 0n, max: 1n << 60n }),
    frequencyPenalty: fc.constantFrom(0, 0.7),
    repetitionPenalty: fc.constantFrom(1, 1.2),
    minTokens: fc.constantFrom(0, 9),
    stop: fc.constantFrom<string[][]>([], ['the ', 'ing'], ['a', 'zzz']),
    numChoices: fc.integer({ min: 1, max: 3 }),
  })
  // Trust below 1 and a grammar are refused together, and blocks that are not filled from left to right.
  .filter(({ decoder, grammar }) => {
    if (grammar === undefined || decoder.type === 'ar') return true;
    return decoder.type === 'tidar'
      ? decoder.beta === 1
      : decoder.type === 'diffusion' && decoder.strategy === 'left-to-right';
  })
  .map(({ decoder, grammar, stop, numChoices, ...sampling }) =>
    demo.request(
      { decoder, grammar, logprobs: 1, maxTokens: 26, sampling: sampled({ temperature: 1.3, ...sampling }) },
      { numChoices, stop },
    ),
  );

async function answerTo(request: EngineRequest): Promise<Answer> {
  const { grammar } = request.generate;
  const desk = demo.desk();
  desk.expect(1, request);
  desk.scheduler.submit(1, request, 10_000, grammar === undefined ? undefined : await compile(grammar));
  await desk.run();
  desk.engine.dispose();
  return desk.answer(1);
}

const logprobsOf = ({ events }: Answer, choice: number) =>
  events.flatMap((event) => (event.type === 'step' && event.choice === choice ? (event.logprobs ?? []) : []));

describe('an attempt that goes on from another’s tokens', () => {
  it('gives the rest of tokens, text, ends and log-probabilities, whatever the tokens and the settings', async () => {
    const cuts = fc.tuple(fc.nat(26), fc.nat(26), fc.nat(26));
    await fc.assert(
      fc.asyncProperty(requests, cuts, async (request, vector) => {
        const whole = await answerTo(request);
        expect(whole.error).toBeUndefined();
        const from = whole.choices.map(({ tokenIds }, choice) => Math.min(vector[choice]!, tokenIds.length));
        const committedByChoice = whole.choices.map(({ tokenIds }, choice) =>
          tokenIds.slice(0, from[choice]),
        );
        const rest = await answerTo({ ...request, committedByChoice });
        expect(rest.events.every((event) => event.type !== 'step' || event.tokenIds.length > 0)).toBe(true);
        rest.choices.forEach((resumed, choice) => {
          const { tokenIds, text, finishReason } = whole.choices[choice]!;
          expect(resumed.tokenIds).toEqual(tokenIds.slice(from[choice]));
          expect(demo.textAfter(whole, request, choice, from[choice]!) + resumed.text).toBe(text);
          expect(resumed.finishReason).toBe(finishReason);
          expect(logprobsOf(rest, choice)).toEqual(logprobsOf(whole, choice).slice(from[choice]));
        });
      }),
      { seed: 12, numRuns: 36 },
    );
  });
});
