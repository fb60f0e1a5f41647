/** What parts of a run cost, in the time of one row of the linear layers. */
export interface RunCosts {
  /** A run with hardly any rows: reading the weights. */
  readonly run: number;
  /** A slot that takes part: attention reads all its columns. */
  readonly slot: number;
  /** A row in attention, where each slot has as many as the one with the most. */
  readonly paddedRow: number;
}

/** Slots [start, end) that take part in one run. */
export interface Segment {
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts a cache's slots into runs. `numRows[b]` are the rows of slot b, 0: it is idle. One run for all reads the weights
 * once; where one slot has many more rows than its neighbours (a prompt, say) two runs save more padding than they
 * cost. Idle slots between two runs take part in none. The cheapest cut, by dynamic programming.
 */
export function segmentSlots(numRows: readonly number[], costs: RunCosts): Segment[] {
  const numSlots = numRows.length;
  // best[i]: what slots [i, numSlots) cost at least; cut[i]: where the run that begins at i ends (i: slot i takes no part).
  const best = new Float64Array(numSlots + 1);
  const cut = new Int32Array(numSlots + 1);
  for (let start = numSlots - 1; start >= 0; start--) {
    const isIdle = (numRows[start] ?? 0) === 0;
    best[start] = isIdle ? (best[start + 1] ?? 0) : Infinity;
    cut[start] = start;
    let most = 2; // no slot has fewer than two rows in attention
    for (let end = start + 1; end <= numSlots; end++) {
      most = Math.max(most, numRows[end - 1] ?? 0);
      const cost = costs.run + (end - start) * (costs.slot + most * costs.paddedRow) + (best[end] ?? 0);
      if (cost >= (best[start] ?? 0)) continue;
      best[start] = cost;
      cut[start] = end;
    }
  }
  const segments: Segment[] = [];
  for (let at = 0; at < numSlots;) {
    const end = cut[at] ?? at;
    if (end > at) segments.push({ start: at, end });
    at = Math.max(end, at + 1);
  }
  return segments;
}
