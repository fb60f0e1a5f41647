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
}

/** How much each token of a sequence counts in the losses' means. */
export type TokenWeights = (sequence: ArrayLike<number>) => ArrayLike<number>;

/** Every token alike, as the paper has it. */
const alike: TokenWeights = (sequence) => new Float32Array(sequence.length).fill(1);

/**
 * Lays out sequences of equal length as [all clean tokens | all masks], with the paper's masks and means:
 * the AR loss over each sequence's first S−1 rows, the diffusion loss over all S mask rows (section 3.1).
 * A sequence's mask rows begin at the position `blockOffset` and end before it: so blocks are whole runs of rows
 * at multiples of their size, whatever the offset, and only the last rows hold two blocks, the sequence's last and first.
 */
export function layOutBatch(
  sequences: readonly ArrayLike<number>[],
  diffusion: DiffusionOptions | undefined,
  weightsOf: TokenWeights = alike,
): TrainingBatch {
  const numTokens = sequences[0]?.length ?? 0;
  const numCleanRows = sequences.length * numTokens;
  const numRows = diffusion === undefined ? numCleanRows : 2 * numCleanRows;
  const positions = new BigInt64Array(numRows);
  const tokenIds = new BigInt64Array(numRows).fill(BigInt(diffusion?.maskTokenId ?? 0));
  const labels = new BigInt64Array(numRows);
  const arWeights = new Float32Array(numRows);
  const [weights, shares] = [new Float32Array(numRows), new Float32Array(numRows)];
  const teacherRows = new BigInt64Array(numRows);
  sequences.forEach((sequence, index) => {
    if (sequence.length !== numTokens) throw new RangeError('sequences of one batch have equal length');
    const tokenWeights = weightsOf(sequence);
    const maskShares = diffusion?.maskShares?.(index);
    for (let at = 0; at < numTokens; at += 1) {
      const row = index * numTokens + at;
      const token = BigInt(sequence[at] ?? 0);
      tokenIds[row] = token;
      positions[row] = BigInt(at);
      if (at > 0) {
        labels[row - 1] = token;
        arWeights[row - 1] = tokenWeights[at] ?? 0;
      }
      if (diffusion === undefined) continue;
      const maskRow = numCleanRows + index * numTokens + maskRowAt(at, numTokens, diffusion);
      positions[maskRow] = BigInt(at);
      labels[maskRow] = token;
      weights[maskRow] = tokenWeights[at] ?? 0;
      shares[maskRow] = maskShares?.[at] ?? 1;
      if (shares[maskRow] === 0) tokenIds[maskRow] = token;
      teacherRows[maskRow] = BigInt(Math.max(row - 1, 0));
    }
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
      ...diffusionMasks(numTokens, diffusion),
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

/** The row, within its sequence's mask half, that predicts the token at a position. */
function maskRowAt(position: number, numTokens: number, { blockOffset = 0 }: DiffusionOptions): number {
  return (position - blockOffset + numTokens) % numTokens;
}

/** A mask of block b sees the clean tokens before block b, and the masks of its own block, both ways. */
export function diffusionMasks(numTokens: number, options: DiffusionOptions) {
  const { blockSize, blockOffset = 0, window } = options;
  if (window % blockSize !== 0 || numTokens % window !== 0) {
    throw new RangeError(`block size ${blockSize} must divide ${window}, and that the length ${numTokens}`);
  }
  if (!(blockOffset >= 0 && blockOffset < blockSize)) {
    throw new RangeError(`blocks of ${blockSize} can't begin at an offset of ${blockOffset}`);
  }
  // The first position of a row's block: that of its run of rows, or 0 for the short block before the first whole one.
  const blockStart = (row: number): number => {
    const position = (row + blockOffset) % numTokens;
    return position < blockOffset ? 0 : Math.floor(row / blockSize) * blockSize + blockOffset;
  };
  const windowStart = (row: number): number => Math.floor(row / window) * window;
  return {
    cleanForMasks: additive(numTokens, numTokens, (row, column) => column < blockStart(row)),
    ownBlock: additive(
      numTokens,
      window,
      (row, column) => blockStart(row) === blockStart(windowStart(row) + column),
    ),
  };
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
