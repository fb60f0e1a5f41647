import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowWithCandidates, slowDraw, SumGrammar } from './testing.ts';
import { wholeRow } from './row.ts';
import { PLAIN_SAMPLING } from './settings.ts';
import type { Draw, Sampling } from './settings.ts';
import { TokenDrawer } from './token-drawer.ts';

const POSITION = 41;

const optional = <T>(off: T, on: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(off) }, { weight: 1, arbitrary: on });
const real = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });

/** Rows as models give them: a peak, a plain, steps with many equal logits. */
const logitsOf = (vocabSize: number): fc.Arbitrary<Float32Array> =>
  fc
    .record({
      seed: fc.nat(),
      scale: fc.constantFrom(0.01, 1, 4, 12, 40),
      unit: fc.constantFrom(0, 0.5, 3),
      offset: real(-30, 30),
    })
    .map(({ seed, scale, unit, offset }) =>
      Float32Array.from({ length: vocabSize }, (_, id) => {
        const logit =
          offset + scale * Math.sin(seed * 0.37 + 1.7 * id * id) * Math.log(2 + ((id * 7919) % 97));
        return unit === 0 ? logit : unit * Math.round(logit / unit);
      }),
    );

const samplingOf = (vocabSize: number): fc.Arbitrary<Sampling> =>
  fc.record({
    temperature: fc.oneof(fc.constant(0), fc.constant(1), real(0.05, 3)),
    topK: optional(0, fc.integer({ min: 1, max: vocabSize + 2 })),
    topP: optional(1, fc.oneof(fc.constant(0.5), real(0, 1))),
    minP: optional(0, real(0, 1)),
    seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    presencePenalty: optional(0, real(-2, 2)),
    frequencyPenalty: optional(0, real(-2, 2)),
    repetitionPenalty: optional(1, real(0.3, 3)),
    logitBias: optional<Sampling['logitBias']>(
      [],
      fc.uniqueArray(fc.tuple(fc.nat(vocabSize - 1), real(-20, 20)), {
        maxLength: 5,
        selector: ([id]) => id,
      }),
    ),
    minTokens: optional(0, fc.nat(12)),
  });

const cases = fc
  .record({ vocabSize: fc.integer({ min: 2, max: 300 }), share: real(0, 1) })
  .chain(({ vocabSize, share }) => {
    const tokens = fc.array(fc.nat(vocabSize - 1), { maxLength: 10 });
    return fc.record({
      logits: logitsOf(vocabSize),
      numCandidates: fc.constant(Math.max(2, Math.ceil(share * vocabSize))),
      error: real(-1e-5, 1e-5),
      sampling: samplingOf(vocabSize),
      choice: fc.nat(3),
      promptIds: tokens,
      committedIds: tokens,
      pushed: tokens,
      numPopped: fc.nat(10),
      endTokenIds: fc.array(fc.nat(vocabSize - 1), { maxLength: 2 }).map((ids) => new Set(ids)),
      modulus: optional(0, fc.integer({ min: 2, max: 60 })),
      width: fc.integer({ min: 1, max: 8 }),
    });
  });

type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

function drawerOf(given: Case): { drawer: TokenDrawer; completionIds: number[]; grammar?: SumGrammar } {
  const { logits, modulus, width, pushed } = given;
  const grammar = modulus === 0 ? undefined : new SumGrammar(logits.length, modulus, width);
  const walk = grammar && new SumGrammar(logits.length, modulus, width);
  const committedIds = given.committedIds.filter(
    (id) => !walk || given.endTokenIds.has(id) || walk.accept(id),
  );
  const options = { ...given, committedIds, vocabSize: logits.length };
  const drawer = new TokenDrawer({ ...options, ...(grammar ? { grammar } : {}) });
  for (const tokenId of pushed) drawer.push(tokenId);
  const numPopped = Math.min(given.numPopped, pushed.length);
  drawer.pop(numPopped);
  const completionIds = [...committedIds, ...pushed.slice(0, pushed.length - numPopped)];
  return { drawer, completionIds, ...(grammar ? { grammar } : {}) };
}

/** Without the sign of zero. */
const plain = ({ best, secondBest, margin }: Draw): Draw => ({ best, secondBest, margin: margin + 0 });

const outcome = (draw: () => Draw): Draw | string => {
  try {
    return plain(draw());
  } catch (error) {
    return (error as Error).message;
  }
};

describe('a draw from candidates', () => {
  it('is the whole row’s: best, second best and margin, for any row, settings, history and grammar', () => {
    let [numDraws, numFullReads] = [0, 0];
    fc.assert(
      fc.property(cases, (given) => {
        const row = rowWithCandidates(given.logits, given.numCandidates, given.error);
        const fromCandidates = outcome(() => drawerOf(given).drawer.draw(row, POSITION));
        const fromAll = outcome(() => drawerOf(given).drawer.draw(wholeRow(given.logits), POSITION));
        expect(fromCandidates).toEqual(fromAll);
        numDraws += 1;
        numFullReads += row.numFullReads;
      }),
      { numRuns: 6000 },
    );
    // Both ways were taken often.
    expect(numFullReads / numDraws).toBeGreaterThan(0.2);
    expect(numFullReads / numDraws).toBeLessThan(0.8);
  });

  it('of the whole row is the plainest draw’s, which counts, sorts and sums everything', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const { drawer, completionIds, grammar } = drawerOf(given);
        fc.pre(grammar === undefined || grammar.accepted.length === completionIds.length);
        const slow = slowDraw(given.logits, POSITION, {
          ...given,
          completionIds,
          ...(grammar ? { isAllowed: (id: number) => grammar.isAllowed(id) } : {}),
        });
        fc.pre(slow.best >= 0);
        expect(plain(drawer.draw(wholeRow(given.logits), POSITION))).toEqual(plain(slow));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the whole row', () => {
  // 2,000 logits that fall with the logarithm of the rank, as a language model's do; 64 candidates.
  const logits = Float32Array.from({ length: 2000 }, (_, id) => 14 - 4 * Math.log(1 + ((id * 1607) % 2000)));
  const id = (rank: number): number => {
    for (let tokenId = 0; tokenId < 2000; tokenId++) if ((tokenId * 1607) % 2000 === rank) return tokenId;
    return -1;
  };
  const countReads = (sampling: Partial<Sampling>, grammar?: SumGrammar, row = logits): number => {
    const counting = rowWithCandidates(row, 64);
    for (let seed = 0n; seed < 200n; seed++) {
      new TokenDrawer({
        sampling: { ...PLAIN_SAMPLING, ...sampling, seed },
        choice: 0,
        vocabSize: row.length,
        promptIds: [id(0), id(1), id(500)],
        committedIds: grammar ? [] : [id(2), id(2), id(600)],
        endTokenIds: new Set([id(3)]),
        ...(grammar ? { grammar } : {}),
      }).draw(counting, POSITION);
    }
    return counting.numFullReads;
  };
  const flat = Float32Array.from({ length: 2000 }, (_, at) => 1e-3 * Math.sin(at * at));
  const allowing = (isAllowed: (tokenId: number) => boolean): SumGrammar => {
    const grammar = new SumGrammar(2000, 2, 1);
    grammar.isAllowed = isAllowed;
    return grammar;
  };

  it.each<{
    settings: string;
    sampling: Partial<Sampling>;
    grammar?: SumGrammar;
    row?: Float32Array<ArrayBuffer>;
  }>([
    { settings: 'greedy', sampling: {}, row: flat },
    { settings: 'greedy with penalties', sampling: { presencePenalty: 1, frequencyPenalty: 1 } },
    { settings: 'greedy with a repetition penalty', sampling: { repetitionPenalty: 1.3 } },
    { settings: 'a bias to a candidate', sampling: { logitBias: [[id(20), 50]] } },
    { settings: 'a ban', sampling: { logitBias: [[id(0), -100]] } },
    { settings: 'min tokens', sampling: { minTokens: 10 } },
    { settings: 'top-k', sampling: { temperature: 2, topK: 64 }, row: flat },
    { settings: 'top-p', sampling: { temperature: 0.8, topP: 0.9 } },
    { settings: 'min-p', sampling: { temperature: 2, minP: 0.01 } },
    { settings: 'a grammar of candidates', sampling: {}, grammar: allowing((at) => at === id(9)) },
    {
      settings: 'a grammar',
      sampling: { temperature: 0.8, topP: 0.9 },
      grammar: allowing((at) => at % 2 === 0),
    },
  ])('is not read for $settings', ({ sampling, grammar, row }) => {
    expect(countReads(sampling, grammar, row)).toBe(0);
  });

  it('is read only where the tail could win, with temperature alone', () => {
    expect(countReads({ temperature: 0.5 })).toBeLessThan(20);
    expect(countReads({ temperature: 1 }, undefined, flat)).toBe(200);
  });

  it.each<{
    settings: string;
    sampling: Partial<Sampling>;
    grammar?: SumGrammar;
    row?: Float32Array<ArrayBuffer>;
  }>([
    { settings: 'a top-k beyond the candidates', sampling: { temperature: 1, topK: 65 }, row: flat },
    { settings: 'a top-p beyond the candidates', sampling: { temperature: 1, topP: 0.5 }, row: flat },
    { settings: 'a bias to another token', sampling: { logitBias: [[id(500), 50]] } },
    { settings: 'a reward for a token of the prompt', sampling: { repetitionPenalty: 0.01 }, row: flat },
    { settings: 'a reward for a token of the text', sampling: { presencePenalty: -40 } },
    { settings: 'a grammar of other tokens', sampling: {}, grammar: allowing((at) => at === id(900)) },
  ])('is read for $settings', ({ sampling, grammar, row }) => {
    expect(countReads(sampling, grammar, row)).toBe(200);
  });

  it('is never read for a draft while a candidate is left', () => {
    const drawerWith = (grammar?: SumGrammar): TokenDrawer =>
      new TokenDrawer({
        sampling: { ...PLAIN_SAMPLING, temperature: 1 },
        choice: 0,
        vocabSize: 2000,
        promptIds: [],
        committedIds: [],
        endTokenIds: new Set(),
        ...(grammar ? { grammar } : {}),
      });
    const row = rowWithCandidates(flat, 64);
    expect(row.candidates!.tokenIds).toContain(drawerWith().propose(row, POSITION).best);
    expect(row.numFullReads).toBe(0);
    const outside = allowing((at) => at === id(900));
    const other = rowWithCandidates(logits, 64);
    expect(drawerWith(outside).propose(other, POSITION)).toMatchObject({ best: id(900), secondBest: -1 });
    expect(other.numFullReads).toBe(1);
  });

  it.each([
    { broken: 'NaN', at: 'in the tail', score: 0, logSumExp: NaN },
    { broken: 'Infinity', at: 'in the tail', score: 0, logSumExp: Infinity },
    { broken: 'NaN', at: 'among the candidates', score: NaN, logSumExp: 5 },
    { broken: '-Infinity', at: 'among the candidates', score: -Infinity, logSumExp: 5 },
  ])('is not drawn from where candidates tell of $broken $at', ({ score, logSumExp }) => {
    const drawer = new TokenDrawer({
      sampling: PLAIN_SAMPLING,
      choice: 0,
      vocabSize: 9,
      promptIds: [],
      committedIds: [],
      endTokenIds: new Set(),
    });
    const candidates = { tokenIds: Int32Array.of(2, 3, 4), scores: Float32Array.of(3, 2, score), logSumExp };
    const row = { full: () => new Float32Array(9), candidates };
    expect(() => drawer.draw(row, POSITION)).toThrowError(/not finite/);
    expect(() => drawer.propose(row, POSITION)).toThrowError(/not finite/);
  });
});
