/** A value that, added to a score, leaves no weight after the softmax; finite, so that no NaN can arise. */
const UNSEEN = -1e9;

/** Everything that one training run is fed besides the parameters; see buildLossGraph for the shapes. */
export interface TrainingBatch {
  readonly tokenIds: BigInt64Array;
  /** Each row's position in its sequence. */
  readonly positions: BigInt64Array;
  readonly labels: BigInt64Array;
  readonly arWeights: Float32Array;
  /** Absent in AR-only training. */
  readonly diffusion?: {
    readonly weights: Float32Array;
    /** The clean row that predicts the same token; of a sequence's first token there is none, and it has no share. */
    readonly teacherRows: BigInt64Array;
    readonly teacherWeights: Float32Array;
    readonly cleanForMasks: Float32Array;
    readonly ownBlock: Float32Array;
    /** What each mask row stands for, sequence after sequence. */
    readonly rows: readonly MaskRow[];
  };
  readonly causal: Float32Array;
}

export interface DiffusionOptions {
  readonly maskTokenId: number;
  readonly blockSize: number;
  /**
   * Blocks begin at the positions offset + n · blockSize; 0 ≤ offset < blockSize. The tokens before the first of
   * them are a short block, and so may be the last ones. Default 0.
   */
  readonly blockOffset?: number;
  /**
   * How much each token of the sequence with this index counts as a mask's label: 0 leaves the token itself in the
   * mask's place. Absent: every row is a mask and counts once.
   */
  readonly maskShares?: (index: number) => ArrayLike<number>;
  /** Columns of the own-block mask; a multiple of the block size. */
  readonly window: number;
  /** Mask rows of each sequence, a multiple of the window: those blocks whose tokens count most. Default: all. */
  readonly numMaskRows?: number;
  /** Which of equally heavy blocks are taken; any whole number, another at each step. */
  readonly turn?: number;
}

export interface MaskRow {
  /** Of the token that it predicts. */
  readonly position: number;
  /** The first position of its block: it sees the clean tokens before that. */
  readonly blockStart: number;
}

/** How much each token of a sequence counts in the losses' means. */
export type TokenWeights = (sequence: ArrayLike<number>) => ArrayLike<number>;

/** Every token alike, as the paper has it. */
const alike: TokenWeights = (sequence) => new Float32Array(sequence.length).fill(1);

/**
 * Lays out sequences of equal length as [all clean tokens | all masks], with the paper's masks and means:
 * the AR loss over each sequence's first S−1 rows, the diffusion loss over all S mask rows (section 3.1).
 * A sequence's mask rows begin at the position `blockOffset` and end before it: so blocks are whole runs of rows
 * at multiples of their size, whatever the offset, and only the last run holds two blocks, the sequence's last and first.
 * Where there are fewer mask rows than tokens, the diffusion loss is the mean over the runs that are there.
 */
export function layOutBatch(
  sequences: readonly ArrayLike<number>[],
  diffusion: DiffusionOptions | undefined,
  weightsOf: TokenWeights = alike,
): TrainingBatch {
  const numTokens = sequences[0]?.length ?? 0;
  const numCleanRows = sequences.length * numTokens;
  const numMaskRows = diffusion === undefined ? 0 : (diffusion.numMaskRows ?? numTokens);
  const numRows = numCleanRows + sequences.length * numMaskRows;
  const positions = new BigInt64Array(numRows);
  const tokenIds = new BigInt64Array(numRows).fill(BigInt(diffusion?.maskTokenId ?? 0));
  const labels = new BigInt64Array(numRows);
  const arWeights = new Float32Array(numRows);
  const [weights, shares] = [new Float32Array(numRows), new Float32Array(numRows)];
  const teacherRows = new BigInt64Array(numRows);
  const maskRows: MaskRow[] = [];
  sequences.forEach((sequence, index) => {
    if (sequence.length !== numTokens) throw new RangeError('sequences of one batch have equal length');
    const tokenWeights = weightsOf(sequence);
    for (let at = 0; at < numTokens; at += 1) {
      const row = index * numTokens + at;
      const token = BigInt(sequence[at] ?? 0);
      tokenIds[row] = token;
      positions[row] = BigInt(at);
      if (at === 0) continue;
      labels[row - 1] = token;
      arWeights[row - 1] = tokenWeights[at] ?? 0;
    }
    if (diffusion === undefined) return;
    const maskShares = diffusion.maskShares?.(index);
    const own = takenRows(numTokens, { ...diffusion, turn: (diffusion.turn ?? 0) + index }, tokenWeights);
    own.forEach(({ position }, at) => {
      const row = numCleanRows + index * numMaskRows + at;
      const token = BigInt(sequence[position] ?? 0);
      positions[row] = BigInt(position);
      labels[row] = token;
      weights[row] = tokenWeights[position] ?? 0;
      shares[row] = maskShares?.[position] ?? 1;
      if (shares[row] === 0) tokenIds[row] = token;
      teacherRows[row] = BigInt(index * numTokens + Math.max(position - 1, 0));
    });
    maskRows.push(...own);
  });
  const common = {
    tokenIds,
    positions,
    labels,
    arWeights: asShares(arWeights),
    causal: causalMask(numTokens),
  };
  if (diffusion === undefined) return common;
  const maskWeights = asShares(weights).map((weight, row) => weight * (shares[row] ?? 0));
  return {
    ...common,
    diffusion: {
      weights: maskWeights,
      teacherRows,
      teacherWeights: maskWeights.map((weight, row) => (positions[row] === 0n ? 0 : weight)),
      ...diffusionMasks(numTokens, maskRows, diffusion.window),
      rows: maskRows,
    },
  };
}

/** Scales weights in place to a sum of 1, so that a weighted sum is a mean. */
function asShares(weights: Float32Array): Float32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) throw new RangeError('no token of the batch counts in its loss');
  return weights.map((weight) => weight / total);
}

function causalMask(numTokens: number): Float32Array {
  return additive(numTokens, numTokens, (row, column) => column <= row);
}

/** The rows of a sequence's mask half: all of them, or the runs of rows whose tokens count most, in their order. */
export function takenRows(
  numTokens: number,
  options: Omit<DiffusionOptions, 'maskTokenId'>,
  weights: ArrayLike<number>,
): MaskRow[] {
  const { blockSize, blockOffset = 0, window, numMaskRows = numTokens, turn = 0 } = options;
  if ([window % blockSize, numTokens % window, numMaskRows % window].some((rest) => rest !== 0)) {
    const lengths = `the lengths ${numTokens} and ${numMaskRows}`;
    throw new RangeError(`block size ${blockSize} must divide ${window}, and that ${lengths}`);
  }
  if (!(blockOffset >= 0 && blockOffset < blockSize)) {
    throw new RangeError(`blocks of ${blockSize} can't begin at an offset of ${blockOffset}`);
  }
  const numRuns = numTokens / blockSize;
  const runs = Array.from({ length: numRuns }, (_, run) => {
    const rows = Array.from({ length: blockSize }, (_, at): MaskRow => {
      const start = run * blockSize + blockOffset;
      const position = (start + at) % numTokens;
      // What wraps around is the short block before the first whole one.
      return { position, blockStart: position < blockOffset ? 0 : start };
    });
    const weight = rows.reduce((sum, { position }) => sum + (weights[position] ?? 0), 0);
    return { run, rows, weight, place: (run + turn) % numRuns };
  });
  return runs
    .toSorted((a, b) => b.weight - a.weight || a.place - b.place)
    .slice(0, numMaskRows / blockSize)
    .toSorted((a, b) => a.run - b.run)
    .flatMap(({ rows }) => rows);
}

/** A mask of block b sees the clean tokens before block b, and the masks of its own block, both ways. */
export function diffusionMasks(numTokens: number, rows: readonly MaskRow[], window: number) {
  const cleanForMasks = new Float32Array(rows.length * numTokens);
  const ownBlock = new Float32Array(rows.length * window);
  rows.forEach(({ blockStart }, row) => {
    cleanForMasks.fill(UNSEEN, row * numTokens + blockStart, (row + 1) * numTokens);
    const windowStart = row - (row % window);
    for (let column = 0; column < window; column += 1) {
      if (rows[windowStart + column]?.blockStart !== blockStart) ownBlock[row * window + column] = UNSEEN;
    }
  });
  return { cleanForMasks, ownBlock };
}

function additive(
  numRows: number,
  numColumns: number,
  sees: (row: number, column: number) => boolean,
): Float32Array {
  const mask = new Float32Array(numRows * numColumns);
  for (let row = 0; row < numRows; row += 1) {
    for (let column = 0; column < numColumns; column += 1) {
      if (!sees(row, column)) mask[row * numColumns + column] = UNSEEN;
    }
  }
  return mask;
}
