import { gumbelFromWord, HIGHEST_NOISE, noiseCeiling } from '@tidar/shared/noise.ts';
import type { RowCandidates } from '../../device/device.ts';
import type { BestTwo } from './best-two.ts';
import { CandidateSet } from './candidate-set.ts';
import type { RowContext } from './full-row.ts';
import { REMOVED } from './row.ts';
import { isGreedy } from './settings.ts';

// Draws are made one at a time, so that all of them share it.
const kept = new CandidateSet();

/**
 * The keyed draw among a row's candidates: the same steps and the same numbers as over the whole row. Returns
 * whether the whole row is needed to know that it draws the same.
 */
export function drawFromCandidates(
  candidates: RowCandidates,
  vocabSize: number,
  position: number,
  context: RowContext,
  into: BestTwo,
): boolean {
  const { sampling, processors, noise } = context;
  const isPlain = isGreedy(sampling);
  kept.load(candidates, vocabSize, isPlain ? 1 : sampling.temperature, processors);
  if (isPlain) {
    kept.keepTopK(2);
  } else {
    kept.keepTopK(sampling.topK);
    kept.keepTopP(sampling.topP);
    kept.keepMinP(sampling.minP);
  }
  into.clear();
  for (let rank = 0; rank < kept.numKept; rank++) {
    const tokenId = kept.tokenIds[rank] ?? -1;
    const score = kept.scores[rank] ?? REMOVED;
    if (isPlain) {
      into.add(tokenId, score);
      continue;
    }
    if (score + HIGHEST_NOISE < into.secondScore) break;
    const word = noise.word(position, tokenId);
    if (score + noiseCeiling(word) >= into.secondScore) into.add(tokenId, score + gumbelFromWord(word));
  }
  return needsFullRow(into, kept, {
    anywhere: isPlain ? 0 : HIGHEST_NOISE,
    here: () => (isPlain ? 0 : noise.highest(position)),
  });
}

/**
 * Whether the whole row could draw another best or second best token than its candidates did. It is one rule for
 * verify rows of plain and of TiDAR decoding, and it may only ever err towards reading the row.
 *
 * Not needed, if both winners surely survive truncation and one of these holds:
 * - no token outside of the candidates can be drawn: greedy or top-k with two or k candidates surely above all other
 *   tokens; top-p reached, or min-p's threshold passed, inside of the candidates; a grammar that allows candidates only;
 * - none can win: the highest score that one could have (the lowest candidate's, or what a bias or a penalty raises
 *   it to) plus the highest noise, of all noise or of this position's, is below the second best.
 */
export function needsFullRow(
  drawn: { readonly best: number; readonly secondBest: number; readonly secondScore: number },
  among: { readonly outside: number; isSure(tokenId: number): boolean },
  noise: { readonly anywhere: number; readonly here: () => number },
): boolean {
  if (drawn.best < 0 || !among.isSure(drawn.best)) return true;
  if (drawn.secondBest >= 0 && !among.isSure(drawn.secondBest)) return true;
  if (among.outside === REMOVED) return false;
  if (among.outside + noise.anywhere < drawn.secondScore) return false;
  return among.outside + noise.here() >= drawn.secondScore;
}
