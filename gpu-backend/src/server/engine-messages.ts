import type { ErrorCode } from '@tidar/shared/errors.ts';
import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import type { GenerateOptions } from '../decode/generate.ts';
import type { CudaOptions } from '../device/cuda/options.ts';
import type { Device, DeviceName } from '../device/names.ts';
import type { TokenLogprob } from '../engine/sampling/logprobs.ts';
import type { AnswerForm } from './answer-form.ts';
import type { AnswerPiece } from './answer-reader.ts';
import type { PassTrace } from '../engine/trace.ts';
import type { ModelFolder } from '../model/folder.ts';
import type { Precision } from '../model/precision.ts';

/** How the engine shares its model out. */
export interface EngineLimits {
  /** Texts that are decoded at once. */
  readonly maxConcurrent: number;
  /** Of all keys and values, kept prefixes included; absent: a part of the machine's memory. */
  readonly maxCacheBytes?: number | undefined;
  /** Of kept prefixes; 0: none is kept. */
  readonly prefixCacheBytes: number;
  /** Whether every tenant may use every other's kept prefixes: timing tells then what others sent. */
  readonly sharePrefixes: boolean;
  /** Prompt tokens that a pass takes at most; absent: fewer where others are decoded in it. */
  readonly prefillChunkTokens?: number | undefined;
}

/** What the engine's thread is started with; the tokenizer holds functions, so that side opens its own. */
export interface EngineWorkerData extends EngineLimits {
  readonly folder: Omit<ModelFolder, 'tokenizer'>;
  /** Of the draft model; absent: no text can have one. */
  readonly draftFolder?: Omit<ModelFolder, 'tokenizer'> | undefined;
  readonly numThreads: number;
  readonly device?: DeviceName | undefined;
  readonly precision?: Precision | undefined;
  readonly cuda?: CudaOptions | undefined;
}

export interface EngineRequest {
  readonly generate: GenerateOptions;
  /** Texts of one prompt; choice 0 is the text of a request for one. */
  readonly numChoices: number;
  /** Resume: what each choice has already; absent: nothing (or `generate.committedIds` of the only one). */
  readonly committedByChoice?: readonly (readonly number[])[] | undefined;
  /** Tokens of each choice that are granted so far: a text pauses there until it is extended. Absent: all. */
  readonly endToken?: number | undefined;
  readonly stop: readonly string[];
  /** Absent: the text is the answer as it stands. */
  readonly form?: AnswerForm | undefined;
  /** Who waits in turns with others, and who may share kept prefixes. */
  readonly tenant: string;
}

/** From the main thread to the engine's. `id` names a request for as long as it is open. */
export type ToEngine =
  | {
      readonly type: 'submit';
      readonly id: number;
      readonly request: EngineRequest;
      readonly numCredits: number;
    }
  /** The reader took events: as many more may be sent. */
  | { readonly type: 'credit'; readonly id: number; readonly numCredits: number }
  /** Texts may go on to this token. */
  | { readonly type: 'extend'; readonly id: number; readonly endToken: number }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'close' };

/** The numbers of one text in the forward passes of a step: one, or in block diffusion several. */
export interface PassStats {
  readonly numPasses: number;
  readonly numRows: number;
  readonly numDrafted: number;
  readonly numAccepted: number;
  /** Of the whole run, which `numSequences` texts shared. */
  readonly milliseconds: number;
  readonly numSequences: number;
  readonly plan: string;
  /** Of each pass, where they are asked for. */
  readonly traces?: readonly PassTrace[] | undefined;
  /** Of the draft model before it. */
  readonly drafting?: { readonly numPasses: number; readonly milliseconds: number } | undefined;
}

/** What a request's reader gets. */
export type EngineEvent =
  /** It has a slot: decoding begins. */
  | {
      readonly type: 'admitted';
      readonly numCachedTokens: number;
      readonly promptLogprobs?: readonly (TokenLogprob | null)[];
    }
  /** Text may lag behind its tokens until the last ones, so that the text so far follows from the tokens so far. */
  | (AnswerPiece & {
      readonly type: 'step';
      readonly choice: number;
      readonly tokenIds: number[];
      /** The choice finishes with it. */
      readonly isLast: boolean;
      readonly logprobs?: readonly TokenLogprob[];
      readonly pass: PassStats;
    })
  /** Once a choice. */
  | { readonly type: 'finish'; readonly choice: number; readonly finishReason: FinishReason }
  /** Once, last. */
  | { readonly type: 'end'; readonly numForwardPasses: number };

/** What only the engine's thread sees, told a few times a second. */
export interface EngineState {
  /** Share of the memory for caches that texts have. */
  readonly cacheUsage: number;
  /** How often a text gave up its memory to another, since the thread began. */
  readonly numYields: number;
}

/** A TidarError as it crosses threads. */
export interface EngineError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly param?: string;
  readonly internal?: string;
}

/** From the engine's thread to the main one. Every submitted id gets exactly one `end` event or `error`. */
export type FromEngine =
  /**
   * What will run the model, before it is loaded, and lines for the operator, a label and a text each. An engine that is
   * started again stays with its device: another would not go on with the texts that this one began.
   */
  | {
      readonly type: 'opening';
      readonly device: Device;
      readonly lines: readonly (readonly [label: string, text: string])[];
    }
  | { readonly type: 'ready'; readonly runtime: string; readonly notes: readonly string[] }
  /** The model could not be opened; the thread ends. */
  | { readonly type: 'failed'; readonly error: EngineError }
  | { readonly type: 'state'; readonly state: EngineState }
  | { readonly type: 'event'; readonly id: number; readonly event: EngineEvent }
  | { readonly type: 'error'; readonly id: number; readonly error: EngineError };

export function toEngineError(thrown: unknown): EngineError {
  const { code, message, retryable, retryAfterMs, param, internal } = toTidarError(thrown);
  return {
    code,
    message,
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(param === undefined ? {} : { param }),
    ...(internal === undefined ? {} : { internal }),
  };
}

export function fromEngineError({ code, message, ...options }: EngineError): TidarError {
  return new TidarError(code, message, options);
}
