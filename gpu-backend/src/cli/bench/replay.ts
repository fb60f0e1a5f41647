import type {
  ForwardBatch,
  ForwardOutput,
  KvCache,
  ModelSession,
  RowCandidates,
} from '../../device/device.ts';
import type { ModelConfig } from '../../model/config.ts';
import { isHit, isSecondHit, marginOf, outcomeAt } from './acceptance-trace.ts';
import type { AcceptanceTrace } from './acceptance-trace.ts';

/**
 * Replayed acceptance: a model with random weights costs what a trained one does, but accepts nothing. This session
 * makes the real run and then changes the two winners of each row that is read, so that the text is a fixed function
 * of position and drafts fare as a recorded model's did. For greedy decoding only.
 *
 * The vocabulary is cut into streams, one a sequence, which tells sequences apart in a batch: every token of a text,
 * its prompt (`replayPrompt`) and wrong drafts included, is of the sequence's own stream.
 */
export const REPLAY_LABEL = 'replayed acceptance';

const NUM_STREAMS = 64;
/** Ids below are special tokens. */
const FIRST_TOKEN_ID = 16;
/** Random weights of deviation 0.02 give logits of at most 0.02 × hidden size. */
const WINNER = 128;
const AR_MARGIN = 10;
/** No ties: they would go to the lower id. */
const LEAST_MARGIN = 1 / 128;
const LARGEST_HIDDEN_SIZE = 2048;

/** Which token stands where in the text of a stream; the higher versions are wrong tokens. */
class Vocabulary {
  readonly #width: number;

  constructor({ vocabSize, hiddenSize }: ModelConfig) {
    // The last ids are left out: the mask is one of them.
    this.#width = Math.floor((vocabSize - FIRST_TOKEN_ID - 1) / NUM_STREAMS);
    if (this.#width < 3)
      throw new RangeError(`a vocabulary of ${vocabSize} is too small for replayed acceptance`);
    if (hiddenSize > LARGEST_HIDDEN_SIZE)
      throw new RangeError(`a hidden size of ${hiddenSize} may give logits above the replayed ones`);
  }

  streamOf(tokenId: number): number {
    const stream = Math.floor((tokenId - FIRST_TOKEN_ID) / this.#width);
    return Math.min(NUM_STREAMS - 1, Math.max(0, stream));
  }

  tokenId(stream: number, position: number, version = 0): number {
    let mixed = Math.imul(position + 1, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    const place = ((mixed ^ (mixed >>> 16)) >>> 0) + version;
    return FIRST_TOKEN_ID + stream * this.#width + (place % this.#width);
  }
}

/** A prompt whose replayed text is that of a stream. Up to 64 sequences at once have one of their own. */
export function replayPrompt(config: ModelConfig, stream: number, numTokens: number): number[] {
  const vocabulary = new Vocabulary(config);
  return Array.from({ length: numTokens }, (_, position) =>
    vocabulary.tokenId(stream % NUM_STREAMS, position),
  );
}

/** The text that follows such a prompt, whatever decodes it. */
export function replayText(
  config: ModelConfig,
  stream: number,
  position: number,
  numTokens: number,
): number[] {
  const vocabulary = new Vocabulary(config);
  return Array.from({ length: numTokens }, (_, at) =>
    vocabulary.tokenId(stream % NUM_STREAMS, position + at),
  );
}

/** What the row is to say. */
interface Forced {
  winner: number;
  runnerUp: number;
  margin: number;
}

/** Wraps a session; it owns the one it wraps. */
export class ReplaySession implements ModelSession {
  readonly config: ModelConfig;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  readonly #inner: ModelSession;
  readonly #trace: AcceptanceTrace;
  readonly #vocabulary: Vocabulary;
  readonly #maskTokenId: number;
  /** [numRows], used again by each run: a stream, and where a mask row's block starts (-1: a causal row). */
  #streams = new Int32Array(0);
  #blockStarts = new Int32Array(0);

  constructor(inner: ModelSession, trace: AcceptanceTrace) {
    this.config = inner.config;
    this.numBytesPerColumn = inner.numBytesPerColumn;
    this.maxCandidates = inner.maxCandidates;
    this.#inner = inner;
    this.#trace = trace;
    this.#vocabulary = new Vocabulary(inner.config);
    this.#maskTokenId = inner.config.tidar?.maskTokenId ?? -1;
  }

  createCache(numSlots: number, capacity: number): KvCache {
    return this.#inner.createCache(numSlots, capacity);
  }

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const output = await this.#inner.run(cache, batch);
    this.#findBlocks(batch, cache.capacity);
    const forced = Array.from({ length: batch.numLogitRows }, (_, index) =>
      this.#forced(batch, batch.logitRows[index] ?? 0),
    );
    return new ReplayedOutput(output, forced);
  }

  dispose(): Promise<void> {
    return this.#inner.dispose();
  }

  #findBlocks({ numSlots, numRows, rowStarts, tokenIds, ...batch }: ForwardBatch, capacity: number): void {
    if (this.#streams.length < numRows) {
      this.#streams = new Int32Array(numRows);
      this.#blockStarts = new Int32Array(numRows);
    }
    for (let slot = 0; slot < numSlots; slot++) {
      const [first, end] = [rowStarts[slot] ?? 0, rowStarts[slot + 1] ?? 0];
      // A slot's first row is a token of its text: of the prompt, or the one decided last.
      const stream = this.#vocabulary.streamOf(tokenIds[first] ?? 0);
      const firstColumn = batch.writeIndexes[slot] ?? 0;
      for (let row = first; row < end; row++) {
        this.#streams[row] = stream;
        this.#blockStarts[row] = -1;
        if (tokenIds[row] !== this.#maskTokenId) continue;
        // Masks of one block see each other; those of another, or a correction, are not seen or are no mask.
        const maskRow = slot * batch.numPaddedRows + row - first;
        const seesLast = batch.mask[maskRow * capacity + firstColumn + row - first - 1] === 1;
        const before = row > first && seesLast ? (this.#blockStarts[row - 1] ?? -1) : -1;
        this.#blockStarts[row] = before >= 0 ? before : (batch.positions[row] ?? 0);
      }
    }
  }

  /** A causal row predicts the next position's token, a mask its own. */
  #forced({ positions }: ForwardBatch, row: number): Forced {
    const [stream, start, position] = [
      this.#streams[row] ?? 0,
      this.#blockStarts[row] ?? 0,
      positions[row] ?? 0,
    ];
    const isCausal = start < 0;
    const predicted = isCausal ? position + 1 : position;
    const token = (version: number): number => this.#vocabulary.tokenId(stream, predicted, version);
    if (isCausal) return { winner: token(0), runnerUp: token(1), margin: AR_MARGIN };
    const outcome = outcomeAt(this.#trace, start, position - start);
    const margin = Math.max(LEAST_MARGIN, marginOf(outcome));
    if (isHit(outcome)) return { winner: token(0), runnerUp: token(1), margin };
    return { winner: token(1), runnerUp: token(isSecondHit(outcome) ? 0 : 2), margin };
  }
}

/** The inner output with two logits of each row changed as it is read. */
class ReplayedOutput implements ForwardOutput {
  readonly #inner: ForwardOutput;
  readonly #forced: readonly Forced[];

  constructor(inner: ForwardOutput, forced: readonly Forced[]) {
    this.#inner = inner;
    this.#forced = forced;
  }

  logits(index: number): Float32Array {
    const logits = this.#inner.logits(index);
    const { winner, runnerUp, margin } = this.#at(index);
    logits[winner] = WINNER;
    logits[runnerUp] = WINNER - margin;
    return logits;
  }

  candidates(index: number): RowCandidates | undefined {
    const inner = this.#inner.candidates(index);
    if (inner === undefined) return undefined;
    const { winner, runnerUp, margin } = this.#at(index);
    const numCandidates = inner.tokenIds.length;
    const scores = new Float32Array(numCandidates);
    const tokenIds = new Int32Array(numCandidates);
    scores.set([WINNER, WINNER - margin].slice(0, numCandidates));
    tokenIds.set([winner, runnerUp].slice(0, numCandidates));
    let at = 2;
    for (let from = 0; at < numCandidates; from++) {
      const tokenId = inner.tokenIds[from] ?? 0;
      if (tokenId === winner || tokenId === runnerUp) continue;
      tokenIds[at] = tokenId;
      scores[at++] = inner.scores[from] ?? 0;
    }
    return { scores, tokenIds, logSumExp: WINNER + Math.log1p(Math.exp(-margin)) };
  }

  #at(index: number): Forced {
    const forced = this.#forced[index];
    if (forced === undefined) throw new RangeError(`row ${index} was not asked for`);
    return forced;
  }
}
