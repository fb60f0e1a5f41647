import { assertPlan } from './plan.ts';
import type { Outcome, Plan } from './plan.ts';

/** What a layout needs to know of a sequence. */
export interface LayoutState {
  /** Cache columns [0, numCommitted) are exact; the rows are written from there on. */
  readonly numCommitted: number;
  /** Known tokens that are not in the cache, at least one; the last is draft row 1. */
  readonly pendingTokenIds: readonly number[];
  readonly draftTokenIds: readonly number[];
}

export interface LayoutOptions {
  readonly maskTokenId: number;
  /** Beta below 1 also reads each block's first mask, which predicts the same position as its draft row. */
  readonly readFirstMasks: boolean;
}

/**
 * The rows of one forward pass: `pending | drafts | block | block …`, each block `correction? masks`.
 * A row sees cache columns [0, visiblePrefix), the first `draftDepth` rows, and rows [blockStart, blockEnd).
 * Mask, positions and logit rows are all derived from these integers.
 */
export interface Layout {
  readonly numRows: number;
  readonly writeIndex: number;
  readonly tokenIds: Int32Array; // [rows]
  readonly positions: Int32Array; // [rows]
  readonly visiblePrefix: Int32Array; // [rows]
  readonly draftDepth: Int32Array; // [rows]
  readonly blockStart: Int32Array; // [rows]
  readonly blockEnd: Int32Array; // [rows]
  /** Row of the decided token, which is draft row 1. */
  readonly firstDraftRow: number;
  /** First row of each outcome's block: its correction where it has one, else its first mask. */
  readonly outcomeRows: readonly number[];
  /** Rows whose logits are read, and the place of each row among them (-1: not read). */
  readonly logitRows: Int32Array;
  readonly logitIndex: Int32Array; // [rows]
}

/** A graph with a single row runs another kernel, whose sums differ in the last bit: two rows are the least. */
const MIN_ROWS = 2;

class RowWriter {
  readonly #rows: Layout;
  readonly #logitRows: number[] = [];
  #next = 0;

  constructor(numRows: number, outcomeRows: number[], firstDraftRow: number, writeIndex: number) {
    const column = (): Int32Array => new Int32Array(numRows);
    this.#rows = {
      numRows,
      writeIndex,
      tokenIds: column(),
      positions: column(),
      visiblePrefix: column(),
      draftDepth: column(),
      blockStart: column(),
      blockEnd: column(),
      firstDraftRow,
      outcomeRows,
      logitRows: new Int32Array(0),
      logitIndex: column().fill(-1),
    };
  }

  get nextRow(): number {
    return this.#next;
  }

  row(
    tokenId: number,
    position: number,
    prefix: number,
    depth: number,
    block: [number, number],
    read: boolean,
  ): void {
    const row = this.#next++;
    this.#rows.tokenIds[row] = tokenId;
    this.#rows.positions[row] = position;
    this.#rows.visiblePrefix[row] = prefix;
    this.#rows.draftDepth[row] = depth;
    [this.#rows.blockStart[row], this.#rows.blockEnd[row]] = block;
    if (!read) return;
    this.#rows.logitIndex[row] = this.#logitRows.length;
    this.#logitRows.push(row);
  }

  finish(): Layout {
    while (this.#logitRows.length < MIN_ROWS) this.#logitRows.push(0);
    return { ...this.#rows, logitRows: Int32Array.from(this.#logitRows) };
  }
}

/** Lays out the rows of one step for any plan; prefill is the step whose pending tokens are the prompt. */
export function layOut(plan: Plan, state: LayoutState, options: LayoutOptions): Layout {
  const { numCommitted, pendingTokenIds, draftTokenIds } = state;
  assertPlan(plan, draftTokenIds);
  const causal = [...pendingTokenIds, ...draftTokenIds.slice(0, plan.numDraftRows - 1)];
  const firstDraftRow = pendingTokenIds.length - 1;
  const numRows = Math.max(MIN_ROWS, causal.length + sum(plan.outcomes, numBlockRows));
  const outcomeRows: number[] = [];
  const writer = new RowWriter(numRows, outcomeRows, firstDraftRow, numCommitted);
  causal.forEach((tokenId, row) => {
    writer.row(tokenId, numCommitted + row, numCommitted, row + 1, [0, 0], row >= firstDraftRow);
  });
  for (const outcome of plan.outcomes) {
    outcomeRows.push(writer.nextRow);
    layOutBlock(writer, outcome, numCommitted, firstDraftRow + outcome.accepted, options);
  }
  // A scratch row fills up to two rows. It sees itself, and nothing sees it.
  while (writer.nextRow < numRows) {
    writer.row(causal[0] ?? 0, numCommitted, 0, 0, [writer.nextRow, writer.nextRow + 1], false);
  }
  return writer.finish();
}

/** The block sees the prefix, the drafts that its outcome accepts, and its own rows; a correction sees no mask. */
function layOutBlock(
  writer: RowWriter,
  outcome: Outcome,
  numCommitted: number,
  draftDepth: number,
  options: LayoutOptions,
): void {
  const start = writer.nextRow;
  const end = start + numBlockRows(outcome);
  let position = numCommitted + draftDepth;
  if (outcome.correction !== undefined) {
    writer.row(outcome.correction, position++, numCommitted, draftDepth, [start, start + 1], true);
  }
  for (let mask = 0; mask < outcome.numMaskTokens; mask++) {
    const read = mask > 0 || options.readFirstMasks;
    writer.row(options.maskTokenId, position++, numCommitted, draftDepth, [start, end], read);
  }
}

export function numBlockRows(outcome: Outcome): number {
  return outcome.numMaskTokens + (outcome.correction === undefined ? 0 : 1);
}

/** [rows, capacity], 1 where a row sees a cache column. */
export function attentionMask(layout: Layout, capacity: number): Uint8Array {
  const { numRows, writeIndex, visiblePrefix, draftDepth, blockStart, blockEnd } = layout;
  const mask = new Uint8Array(numRows * capacity);
  for (let row = 0; row < numRows; row++) {
    const at = row * capacity;
    mask.fill(1, at, at + (visiblePrefix[row] ?? 0));
    mask.fill(1, at + writeIndex, at + writeIndex + (draftDepth[row] ?? 0));
    mask.fill(1, at + writeIndex + (blockStart[row] ?? 0), at + writeIndex + (blockEnd[row] ?? 0));
  }
  return mask;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
