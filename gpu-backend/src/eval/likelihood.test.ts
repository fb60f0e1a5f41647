import { describe, expect, it, onTestFinished } from 'vitest';
import { generate } from '../decode/generate.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { choose, measureText } from './likelihood.ts';
import type { Models } from './models.ts';
import { makeNonsenseModel, openNonsense } from './testing.ts';

const TEXT = 'the tower and the sea — über alles, and then some more of it, until the end of the line.';

/** The slow way: one pass for each token, which is asked for among all that could follow. */
async function logprobAfter(
  { main }: Models,
  promptIds: readonly number[],
  tokenId: number,
): Promise<number> {
  const logitBias = [[tokenId, 100]] as const; // decides it; log-probabilities are of raw logits
  const sampling = { ...PLAIN_SAMPLING, logitBias };
  const options = { promptIds, maxTokens: 1, sampling, stopTokenIds: [], ignoreEos: true, logprobs: 0 };
  for await (const event of generate(main.engine, { ...options, decoder: { type: 'ar' } }))
    if (event.type === 'step') {
      expect(event.tokenIds).toEqual([tokenId]);
      return event.logprobs?.[0]?.logprob ?? NaN;
    }
  throw new Error('there was no step');
}

describe('likelihoods', () => {
  let models: Models;

  async function open(): Promise<Models> {
    models = await openNonsense(makeNonsenseModel());
    onTestFinished(() => models.dispose());
    return models;
  }

  it('of a text are the bits of its tokens one by one, each after at least half a window', async () => {
    const { main } = await open();
    const ids = [256, ...main.tokenizer.encode(TEXT)];
    for (const window of [4, 7, 16, 1024]) {
      const stride = Math.ceil(window / 2);
      let bits = 0;
      for (let at = 1; at < ids.length; at++) {
        const start = at < window ? 0 : Math.floor((at - window) / stride + 1) * stride;
        bits -= (await logprobAfter(models, ids.slice(start, at), ids[at]!)) / Math.LN2;
      }
      const measured = await measureText(main, TEXT, window);
      expect(measured.numBytes).toBe(Buffer.byteLength(TEXT));
      expect(measured.bits).toBeCloseTo(bits, 3);
    }
  });

  it.each(['chat', 'raw'] as const)(
    'of choices are those of their tokens after the context: %s',
    async (form) => {
      const { main } = await open();
      const contexts = ['the b', 'Where is the sea?', 'a'];
      const choices = ['er of all', ' and', 'in the end it was found', ' é'];
      for (const context of contexts) {
        const scores: { byByte: number; byToken: number }[] = [];
        for (const choice of choices) {
          const contextIds =
            form === 'chat'
              ? main.tokenizer.encodeChat([{ role: 'user', content: context }])
              : [256, ...main.tokenizer.encode(context)];
          const ids =
            form === 'chat'
              ? [...contextIds, ...main.tokenizer.encode(choice)]
              : [256, ...main.tokenizer.encode(context + choice)];
          let numContext = 0;
          while (numContext < contextIds.length && contextIds[numContext] === ids[numContext])
            numContext += 1;
          let total = 0;
          for (let at = numContext; at < ids.length; at++)
            total += await logprobAfter(models, ids.slice(0, at), ids[at]!);
          const numTokens = ids.length - numContext;
          scores.push({ byByte: total / Buffer.byteLength(choice), byToken: total / numTokens });
        }
        const best = (by: 'byByte' | 'byToken'): number =>
          scores.findIndex((one) => one[by] === Math.max(...scores.map((each) => each[by])));
        const chosen = await choose(main, { type: 'choices', context, choices, answer: 0 }, form);
        expect(chosen).toEqual({ byByte: best('byByte'), byToken: best('byToken') });
      }
    },
  );

  it('of a text or a context beyond the model’s own are told all the same', async () => {
    const small = await openNonsense(makeNonsenseModel({ max_position_embeddings: 16 }));
    onTestFinished(() => small.dispose());
    const { bits, numBytes } = await measureText(small.main, TEXT, 1024);
    expect(numBytes).toBe(Buffer.byteLength(TEXT));
    expect(bits).toBeGreaterThan(0);
    const item = { type: 'choices', context: TEXT, choices: [' a', ' b'], answer: 0 } as const;
    expect((await choose(small.main, item, 'raw')).byByte).toBeGreaterThanOrEqual(0);
  });
});
