import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Processors } from './processors.ts';
import { PLAIN_SAMPLING } from './settings.ts';
import type { Sampling } from './settings.ts';
import { processedScores, SumGrammar } from './testing.ts';
import { TokenHistory } from './token-history.ts';

const VOCAB = 40;
const token = fc.nat(VOCAB - 1);
/** A token is pushed, a number of tokens taken back. */
const moves = fc.array(fc.oneof(token, fc.record({ numPopped: fc.integer({ min: 1, max: 6 }) })), {
  maxLength: 60,
});

describe('the history', () => {
  it('counts as a count from scratch does, after any pushes and pops', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 20 }), moves, (promptIds, steps) => {
        const history = new TokenHistory(promptIds);
        const completion: number[] = [];
        for (const step of steps) {
          if (typeof step === 'number') {
            history.push(step);
            completion.push(step);
          } else
            for (let left = Math.min(step.numPopped, completion.length); left > 0; left--) {
              history.pop();
              completion.pop();
            }
        }
        const known = new Set([...promptIds, ...completion]);
        expect(new Set(history.tokenIds)).toEqual(known);
        expect(history.tokenIds).toHaveLength(known.size);
        for (let id = 0; id < VOCAB; id++)
          expect(history.count(id)).toBe(known.has(id) ? completion.filter((at) => at === id).length : -1);
      }),
    );
  });

  it('takes nothing back that was not pushed', () => {
    const history = new TokenHistory([1, 2]);
    history.push(3);
    history.pop();
    expect(() => history.pop()).toThrowError(RangeError);
  });
});

const sampling: Sampling = {
  ...PLAIN_SAMPLING,
  presencePenalty: 0.4,
  frequencyPenalty: 0.3,
  repetitionPenalty: 1.7,
  logitBias: [
    [3, 2],
    [8, -4],
  ],
  minTokens: 4,
};
const logits = Float32Array.from({ length: VOCAB }, (_, id) => 3 * Math.sin(id * id));
const endTokenIds = new Set([5, 6]);

/** The same row by both ways of the processors. */
function processed(processors: Processors): Float64Array {
  processors.prepare();
  const scores = Float64Array.from(logits);
  processors.apply(scores);
  expect(Float64Array.from(logits, (logit, id) => processors.process(id, logit))).toEqual(scores);
  return scores;
}

describe('processors', () => {
  it('give the scores of a count from scratch, by row and by token, after any pushes and pops', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 5 }), moves, fc.boolean(), (promptIds, steps, isFree) => {
        const grammar = new SumGrammar(VOCAB, 7, isFree ? 7 : 4);
        const processors = new Processors({
          ...{ sampling, vocabSize: VOCAB, promptIds, committedIds: [], endTokenIds },
          grammar,
        });
        let completionIds: number[] = [];
        for (const step of steps) {
          if (typeof step === 'number') {
            completionIds.push(step);
            processors.push(step);
          } else {
            const numPopped = Math.min(step.numPopped, completionIds.length);
            completionIds = completionIds.slice(0, completionIds.length - numPopped);
            processors.pop(numPopped);
          }
        }
        // What the grammar has seen: everything before the first end or refused token.
        const fresh = new SumGrammar(VOCAB, 7, isFree ? 7 : 4);
        const isJudged = completionIds.every((id) => !endTokenIds.has(id) && fresh.accept(id));
        expect(grammar.accepted).toEqual(fresh.accepted);
        const isAllowed = (id: number): boolean => !isJudged || isFree || fresh.isAllowed(id);
        const oracle = { sampling, choice: 0, promptIds, completionIds, endTokenIds, isAllowed };
        expect([...processed(processors)]).toEqual(processedScores(logits, oracle));
      }),
    );
  });

  it('that are popped are as if the tokens had never been pushed, bit for bit', () => {
    fc.assert(
      fc.property(fc.array(token), fc.array(token, { minLength: 1 }), (kept, drafts) => {
        const options = { sampling, vocabSize: VOCAB, promptIds: [1, 2, 3], committedIds: kept, endTokenIds };
        const processors = new Processors(options);
        const before = processed(processors);
        for (const draft of drafts) processors.push(draft);
        processors.pop(drafts.length);
        expect(processed(processors)).toEqual(before);
      }),
    );
  });

  it('take nothing back that was not pushed', () => {
    const options = { sampling, vocabSize: VOCAB, promptIds: [1], committedIds: [], endTokenIds };
    expect(() => new Processors(options).pop(1)).toThrowError(RangeError);
  });

  it('refuse to go on from tokens that the grammar refuses, and tell which draft it refuses', () => {
    const options = { sampling, vocabSize: VOCAB, promptIds: [], endTokenIds };
    const onlyEven = (): SumGrammar => new SumGrammar(VOCAB, 2, 1);
    expect(() => new Processors({ ...options, committedIds: [1], grammar: onlyEven() })).toThrowError(
      /format/,
    );
    const processors = new Processors({ ...options, committedIds: [2, 4], grammar: onlyEven() });
    expect([8, 11, 9].map((id) => processors.push(id))).toEqual([true, false, true]);
  });

  it('let a text end before the least number of tokens where its grammar leaves nothing but an end', () => {
    const scoresWith = (...allowedIds: number[]): number[] => {
      const mask = allowedIds.reduce((bits, id) => bits | (1 << id), 0);
      const grammar = {
        allowed: () => Int32Array.of(mask, 0),
        accept: () => true,
        rollback: () => undefined,
        dispose: () => undefined,
      };
      const options = { sampling, vocabSize: VOCAB, promptIds: [], committedIds: [], endTokenIds, grammar };
      const scores = processed(new Processors(options));
      return [...scores.keys()].filter((id) => scores[id] !== -Infinity);
    };
    expect([scoresWith(5), scoresWith(5, 6), scoresWith(5, 7)]).toEqual([[5], [5, 6], [7]]);
  });
});
