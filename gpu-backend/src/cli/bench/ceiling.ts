import { isHit, isSecondHit } from './acceptance-trace.ts';

/** A text, and what a block of masks that starts at one of its tokens says of those that follow. */
export interface KnownText {
  /** The first one, which prefill decides, included. */
  readonly numTokens: number;
  /** See acceptance-trace.ts. */
  readonly outcome: (start: number, depth: number) => number;
}

export const CEILING_DEFINITION =
  'The ceiling is what auto would reach if planning and everything outside the graph were free, and if it knew beforehand ' +
  'which drafts are right: the quickest passes for these very texts, each costing what the slot curve of this run says ' +
  '(drafts are verified in the pass after their own). No planner knows that much.';

/**
 * Milliseconds of the quickest way to decode a text with foresight: which drafts to verify (none that is wrong), and
 * which one block to run for the outcome that is known to happen; where the first wrong draft's runner-up is right, the
 * block may be that correction's. Found by dynamic programming over the tokens, from the last one on.
 */
export function ceilingMs(text: KnownText, blockSize: number, cost: (numRows: number) => number): number {
  const last = text.numTokens - 1;
  if (last <= 0) return 0;
  const costs = Array.from({ length: 2 * blockSize + 4 }, (_, numRows) => cost(Math.max(2, numRows)));
  const states = Array.from({ length: last + blockSize + 2 }, () => new Float64Array(2 * (blockSize + 1)));
  const at = (isCorrected: boolean, numMasks: number): number => (isCorrected ? blockSize + 1 : 0) + numMasks;
  const best = (start: number, place: number): number => states[start]?.[place] ?? 0; // past the end: nothing
  for (let start = last - 1; start >= 0; start--) {
    for (const isCorrected of [false, true]) {
      for (let numMasks = 0; numMasks <= blockSize; numMasks++) {
        const { numRight, isSecondRight } = drafts(text, start, isCorrected, numMasks);
        let least = Infinity;
        const offer = (ms: number): void => void (least = Math.min(least, ms));
        for (let rows = 1; rows <= Math.min(1 + numRight, last - start); rows++) {
          const next = start + rows;
          offer((costs[rows] ?? Infinity) + best(next, at(false, 0)));
          if (next >= last) continue;
          for (let masks = 2; masks <= blockSize; masks++)
            offer((costs[rows + masks] ?? Infinity) + best(next, at(false, masks)));
          if (rows !== 1 + numRight || !isSecondRight) continue;
          for (let masks = 0; masks <= blockSize; masks++)
            offer((costs[rows + 1 + masks] ?? Infinity) + best(next, at(true, masks)));
        }
        (states[start] ?? [])[at(isCorrected, numMasks)] = least;
      }
    }
  }
  return best(0, at(false, blockSize));
}

/**
 * The drafts after token `start`: of a block that starts there (its first mask says nothing new), or of a correction
 * there (whose causal row is always right) with a block after it.
 */
function drafts(
  { outcome }: KnownText,
  start: number,
  isCorrected: boolean,
  numMasks: number,
): { numRight: number; isSecondRight: boolean } {
  const [blockStart, numBefore] = isCorrected ? [start + 1, 1] : [start, 0];
  let depth = 1;
  while (depth < numMasks && isHit(outcome(blockStart, depth))) depth += 1;
  const isSecondRight = depth < numMasks && isSecondHit(outcome(blockStart, depth));
  return { numRight: numBefore + depth - 1, isSecondRight };
}
