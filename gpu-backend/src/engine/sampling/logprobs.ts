import type { LogitsRow, Row } from './settings.ts';
import { notFinite, REMOVED } from './row.ts';

export interface TokenLogprob {
  readonly tokenId: number;
  /** Natural logarithm, of raw logits over the full vocabulary. */
  readonly logprob: number;
  /** The likeliest tokens in falling order, of equals the lower id first; the token itself only if it is one. */
  readonly top: readonly { readonly tokenId: number; readonly logprob: number }[];
}

/**
 * A token's log-probability in a row of raw logits. Where the row has candidates, the device's log-sum-exp counts
 * (whether or not the row had to be read whole), so that the number does not depend on how many candidates there are.
 */
export function tokenLogprobs(row: LogitsRow, tokenId: number, numAlternatives: number): TokenLogprob {
  const { candidates } = row;
  const numWanted = numAlternatives;
  if (candidates === undefined) {
    const logits = row.full();
    return fromRow(logits, logSumExp(logits), tokenId, numWanted);
  }
  if (!Number.isFinite(candidates.logSumExp)) throw notFinite();
  const { tokenIds, scores, logSumExp: total } = candidates;
  const at = tokenIds.indexOf(tokenId);
  if (at < 0 || numWanted > tokenIds.length) return fromRow(row.full(), total, tokenId, numWanted);
  const top = Array.from({ length: numWanted }, (_, rank) => ({
    tokenId: tokenIds[rank] ?? -1,
    logprob: (scores[rank] ?? REMOVED) - total,
  }));
  return { tokenId, logprob: (scores[at] ?? REMOVED) - total, top };
}

function fromRow(logits: Row, total: number, tokenId: number, numWanted: number): TokenLogprob {
  const top = highestIds(logits, numWanted).map((id) => ({
    tokenId: id,
    logprob: (logits[id] ?? REMOVED) - total,
  }));
  return { tokenId, logprob: (logits[tokenId] ?? REMOVED) - total, top };
}

/** In float64, in token order. */
export function logSumExp(logits: Row): number {
  let highest = REMOVED;
  for (let id = 0; id < logits.length; id++) highest = Math.max(highest, logits[id] ?? REMOVED); // NaN stays
  let total = 0;
  for (let id = 0; id < logits.length; id++) total += Math.exp((logits[id] ?? REMOVED) - highest);
  const result = highest + Math.log(total);
  if (!Number.isFinite(result)) throw notFinite();
  return result;
}

/** The ids of the highest logits in falling order, of equals the lower id first. */
function highestIds(logits: Row, count: number): number[] {
  const ids: number[] = [];
  let lowest = REMOVED;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? REMOVED;
    if (ids.length >= count && !(logit > lowest)) continue;
    let at = ids.length;
    while (at > 0 && logit > (logits[ids[at - 1] ?? 0] ?? REMOVED)) at -= 1;
    ids.splice(at, 0, id);
    if (ids.length > count) ids.pop();
    lowest = logits[ids[ids.length - 1] ?? 0] ?? REMOVED;
  }
  return ids.slice(0, count);
}
