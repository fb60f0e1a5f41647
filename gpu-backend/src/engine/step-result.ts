import type { TokenLogprob } from './sampling/logprobs.ts';
import type { PassTrace } from './trace.ts';

/** What one forward pass did for one sequence. */
export interface StepResult {
  /** Decided, in order; none in a prefill chunk. */
  readonly tokenIds: number[];
  readonly logprobs: TokenLogprob[];
  readonly numRows: number;
  /** Draft rows verified, the decided token's included; in block diffusion the masks that the block had. */
  readonly numDrafted: number;
  /** Of them, draft rows that were right; masks that became tokens. */
  readonly numAccepted: number;
  /** The plan's outcome that happened; -1: none that was drafted for. */
  readonly outcome: number;
  /** Where the sequence is traced; a prefill chunk has none. */
  readonly trace?: PassTrace | undefined;
}
