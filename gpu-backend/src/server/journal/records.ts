import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { JournalState } from '@tidar/shared/journal.ts';
import type { FinishReason, TokenLogprob } from '@tidar/shared/protocol.ts';

/** What is written before anything of an attempt is started. */
export interface NewRecord {
  readonly requestId: string;
  readonly attempt: number;
  readonly model: string;
  readonly fingerprint: string;
  readonly seed: string;
  readonly isStored: boolean;
  /** The body as it came, without the tokens to resume with. */
  readonly request: string;
  readonly promptIds: readonly number[];
  /** Of each choice, what an earlier attempt generated. */
  readonly resumedIds: readonly (readonly number[])[];
}

/** What is known of an attempt. */
export interface GenerationRecord {
  readonly id: number;
  readonly requestId: string;
  readonly attempt: number;
  readonly state: JournalState;
  readonly model: string;
  readonly fingerprint: string;
  readonly seed: string;
  readonly isStored: boolean;
  readonly numPromptTokens: number;
  /** Undefined before its `start`. */
  readonly numCachedTokens: number | undefined;
  readonly numForwardPasses: number | undefined;
  readonly finishReasons: readonly (FinishReason | null)[];
  /** Undefined while it runs. */
  readonly tokenCounts: readonly number[] | undefined;
  readonly tokensHash: string | undefined;
  readonly error: ErrorObject | undefined;
  /** Undefined where `store: false` deleted it, and its prompt and its steps with it. */
  readonly request: string | undefined;
  readonly promptIds: readonly number[] | undefined;
  readonly promptLogprobs: readonly (TokenLogprob | null)[] | undefined;
}

export interface StepRecord {
  readonly choice: number;
  readonly tokenIds: readonly number[];
  /** Its choice finished with it: text that was held back until then came with it. */
  readonly isLast: boolean;
  readonly logprobs?: readonly TokenLogprob[] | undefined;
}

/** One thing that happened to a generation, in the form in which it is written. */
export type Entry =
  | {
      readonly type: 'start';
      readonly numCachedTokens: number;
      readonly promptLogprobs?: readonly (TokenLogprob | null)[] | undefined;
    }
  | ({ readonly type: 'step'; readonly seq: number } & StepRecord)
  | { readonly type: 'finish'; readonly finishReasons: readonly (FinishReason | null)[] }
  | {
      readonly type: 'close';
      readonly state: Exclude<JournalState, 'running'>;
      readonly numForwardPasses: number | undefined;
      readonly error?: ErrorObject | undefined;
      /** Of each choice, and `hashTokenIds` of all. */
      readonly tokenCounts: readonly number[];
      readonly tokensHash: string;
    };
