import { MASK } from './diffusion/block.ts';
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
  /** Read every pending row: what a prompt's own probabilities are made of. */
  readonly readPendingRows: boolean;
}

/**
 * The rows of one sequence in one forward pass: `pending | drafts | block | block …`, each block `correction? masks`.
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
  /** Pending rows, the decided token's included. */
  readonly numPendingRows: number;
  /** Row of the decided token, which is draft row 1; -1 in a prefill chunk. */
  readonly firstDraftRow: number;
  /** First row of each outcome's block: its correction where it has one, else its first mask. */
  readonly outcomeRows: readonly number[];
  /** Rows whose logits are read, and the place of each row among them (-1: not read). */
  readonly logitRows: readonly number[];
  readonly logitIndex: Int32Array; // [rows]
}

type Span = readonly [start: number, end: number];

class RowWriter {
  readonly #layout: Layout;
  readonly #logitRows: number[] = [];
  #next = 0;

  constructor(fields: Pick<Layout, 'numRows' | 'writeIndex' | 'numPendingRows' | 'firstDraftRow'>) {
    const column = (): Int32Array => new Int32Array(fields.numRows);
    this.#layout = {
      ...fields,
      tokenIds: column(),
      positions: column(),
      visiblePrefix: column(),
      draftDepth: column(),
      blockStart: column(),
      blockEnd: column(),
      outcomeRows: [],
      logitRows: this.#logitRows,
      logitIndex: column().fill(-1),
    };
  }

  get nextRow(): number {
    return this.#next;
  }

  get layout(): Layout {
    return this.#layout;
  }

  /** `depth`: how many of the first rows it sees, beside the prefix and its block. */
  row(tokenId: number, position: number, depth: number, [blockStart, blockEnd]: Span, isRead: boolean): void {
    const row = this.#next++;
    const layout = this.#layout;
    layout.tokenIds[row] = tokenId;
    layout.positions[row] = position;
    layout.visiblePrefix[row] = layout.writeIndex;
    layout.draftDepth[row] = depth;
    layout.blockStart[row] = blockStart;
    layout.blockEnd[row] = blockEnd;
    if (isRead) layout.logitIndex[row] = this.#logitRows.push(row) - 1;
  }
}

const NO_BLOCK: Span = [0, 0];

/** Lays out the rows of one step for any plan; prefill is the step whose pending tokens are the prompt. */
export function layOut(plan: Plan, state: LayoutState, options: LayoutOptions): Layout {
  const { numCommitted, pendingTokenIds, draftTokenIds } = state;
  assertPlan(plan, draftTokenIds, pendingTokenIds.length);
  const isChunk = plan.numChunkTokens !== undefined;
  const numPendingRows = plan.numChunkTokens ?? pendingTokenIds.length;
  const firstDraftRow = isChunk ? -1 : numPendingRows - 1;
  const numDrafts = isChunk ? 0 : plan.numDraftRows - 1;
  const numCausalRows = numPendingRows + numDrafts;
  const numRows = plan.outcomes.reduce((total, outcome) => total + numBlockRows(outcome), numCausalRows);
  const writer = new RowWriter({ numRows, writeIndex: numCommitted, numPendingRows, firstDraftRow });
  for (let row = 0; row < numCausalRows; row++) {
    const tokenId = row < numPendingRows ? pendingTokenIds[row] : draftTokenIds[row - numPendingRows];
    const isRead = options.readPendingRows || (!isChunk && row >= firstDraftRow);
    writer.row(tokenId ?? -1, numCommitted + row, row + 1, NO_BLOCK, isRead);
  }
  const outcomeRows: number[] = [];
  for (const outcome of plan.outcomes) {
    outcomeRows.push(writer.nextRow);
    layOutBlock(writer, outcome, firstDraftRow + outcome.accepted, options);
  }
  return { ...writer.layout, outcomeRows };
}

/** What a layout of block diffusion needs to know of a sequence. */
export interface BlockState extends Pick<LayoutState, 'numCommitted' | 'pendingTokenIds'> {
  /** MASK where no token is fixed. */
  readonly blockTokenIds: readonly number[];
}

/** The rows of a denoising pass: what is pending, causal, then the block, whose rows see all of it and each other. */
export function layOutDenoising(state: BlockState, options: Omit<LayoutOptions, 'readFirstMasks'>): Layout {
  const { numCommitted, pendingTokenIds, blockTokenIds } = state;
  const numPendingRows = pendingTokenIds.length;
  const numRows = numPendingRows + blockTokenIds.length;
  const writer = new RowWriter({ numRows, writeIndex: numCommitted, numPendingRows, firstDraftRow: -1 });
  pendingTokenIds.forEach((tokenId, row) =>
    writer.row(tokenId, numCommitted + row, row + 1, NO_BLOCK, options.readPendingRows),
  );
  blockTokenIds.forEach((tokenId, offset) => {
    const isMask = tokenId === MASK;
    const position = numCommitted + numPendingRows + offset;
    const span: Span = [numPendingRows, numRows];
    writer.row(isMask ? options.maskTokenId : tokenId, position, numPendingRows, span, isMask);
  });
  return { ...writer.layout, outcomeRows: [numPendingRows] };
}

/** The block sees the prefix, the drafts that its outcome accepts, and its own rows; a correction sees no mask. */
function layOutBlock(writer: RowWriter, outcome: Outcome, draftDepth: number, options: LayoutOptions): void {
  const start = writer.nextRow;
  const end = start + numBlockRows(outcome);
  let position = writer.layout.writeIndex + draftDepth;
  if (outcome.correction !== undefined) {
    writer.row(outcome.correction, position++, draftDepth, [start, start + 1], true);
  }
  for (let mask = 0; mask < outcome.numMaskTokens; mask++) {
    writer.row(options.maskTokenId, position++, draftDepth, [start, end], mask > 0 || options.readFirstMasks);
  }
}

export function numBlockRows(outcome: Outcome): number {
  return outcome.numMaskTokens + (outcome.correction === undefined ? 0 : 1);
}

/** Marks with 1 the columns that a layout's rows see, in a zeroed mask [rows or more, capacity] from `offset` on. */
export function markVisible(mask: Uint8Array, offset: number, layout: Layout, capacity: number): void {
  const { numRows, writeIndex, visiblePrefix, draftDepth, blockStart, blockEnd } = layout;
  for (let row = 0; row < numRows; row++) {
    const at = offset + row * capacity;
    const firstRow = at + writeIndex;
    mask.fill(1, at, at + (visiblePrefix[row] ?? 0));
    mask.fill(1, firstRow, firstRow + (draftDepth[row] ?? 0));
    mask.fill(1, firstRow + (blockStart[row] ?? 0), firstRow + (blockEnd[row] ?? 0));
  }
}

/** [rows, capacity], 1 where a row sees a cache column. */
export function attentionMask(layout: Layout, capacity: number): Uint8Array {
  const mask = new Uint8Array(layout.numRows * capacity);
  markVisible(mask, 0, layout, capacity);
  return mask;
}
