/** A value that, added to a score, leaves no weight after the softmax; finite, so that no NaN can arise. */
const UNSEEN = -1e9;

/** Everything that one training run is fed besides the parameters; see buildLossGraph for the shapes. */
export interface TrainingBatch {
  readonly tokenIds: BigInt64Array;
  readonly labels: BigInt64Array;
  readonly arWeights: Float32Array;
  /** Absent in AR-only training. */
  readonly diffusion?: {
    readonly weights: Float32Array;
    readonly cleanForMasks: Float32Array;
    readonly ownBlock: Float32Array;
  };
  readonly causal: Float32Array;
}

export interface DiffusionOptions {
  readonly maskTokenId: number;
  readonly blockSize: number;
  /** Columns of the own-block mask; a multiple of the block size. */
  readonly window: number;
}

/**
 * Lays out sequences of equal length as [all clean tokens | all masks], with the paper's masks and means:
 * the AR loss over each sequence's first S−1 rows, the diffusion loss over all S mask rows (section 3.1).
 */
export function layOutBatch(
  sequences: readonly ArrayLike<number>[],
  diffusion: DiffusionOptions | undefined,
): TrainingBatch {
  const batch = sequences.length;
  const numTokens = sequences[0]?.length ?? 0;
  const numCleanRows = batch * numTokens;
  const numRows = diffusion === undefined ? numCleanRows : 2 * numCleanRows;
  const tokenIds = new BigInt64Array(numRows).fill(BigInt(diffusion?.maskTokenId ?? 0));
  const labels = new BigInt64Array(numRows);
  const arWeights = new Float32Array(numRows);
  sequences.forEach((sequence, index) => {
    if (sequence.length !== numTokens) throw new RangeError('sequences of one batch have equal length');
    for (let at = 0; at < numTokens; at += 1) {
      const row = index * numTokens + at;
      const token = BigInt(sequence[at] ?? 0);
      tokenIds[row] = token;
      if (diffusion !== undefined) labels[numCleanRows + row] = token;
      if (at > 0) labels[row - 1] = token;
      if (at + 1 < numTokens) arWeights[row] = 1 / (batch * (numTokens - 1));
    }
  });
  const common = { tokenIds, labels, arWeights, causal: causalMask(numTokens) };
  if (diffusion === undefined) return common;
  const weights = new Float32Array(numRows).fill(1 / numCleanRows, numCleanRows);
  return { ...common, diffusion: { weights, ...diffusionMasks(numTokens, diffusion) } };
}

function causalMask(numTokens: number): Float32Array {
  return additive(numTokens, numTokens, (row, column) => column <= row);
}

/** A mask of block b sees the clean tokens before block b, and the masks of its own block, both ways. */
export function diffusionMasks(numTokens: number, options: DiffusionOptions) {
  const { blockSize, window } = options;
  if (window % blockSize !== 0 || numTokens % window !== 0) {
    throw new RangeError(`block size ${blockSize} must divide ${window}, and that the length ${numTokens}`);
  }
  const block = (row: number): number => Math.floor(row / blockSize);
  return {
    cleanForMasks: additive(numTokens, numTokens, (row, column) => column < block(row) * blockSize),
    ownBlock: additive(
      numTokens,
      window,
      (row, column) => block(row) === block(Math.floor(row / window) * window + column),
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
