import type { ErrorCode } from '@tidar/shared/errors.ts';
import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import type { GenerateOptions } from '../decode/generate.ts';
import type { ModelFolder } from '../model/folder.ts';

/** What the engine's thread is started with; the tokenizer holds functions, so that side opens its own. */
export interface EngineWorkerData {
  readonly folder: Omit<ModelFolder, 'tokenizer'>;
  readonly numThreads: number;
  readonly maxConcurrent: number;
}

export interface EngineRequest {
  readonly generate: GenerateOptions;
  readonly stop: readonly string[];
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
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'close' };

/** The numbers of one forward pass. */
export interface PassStats {
  readonly numRows: number;
  readonly numDrafted: number;
  readonly numAccepted: number;
  readonly milliseconds: number;
}

/** What a request's reader gets. */
export type EngineEvent =
  /** It has a slot: decoding begins. */
  | { readonly type: 'admitted' }
  /** Text may lag behind its tokens; held-back text at the end comes with no tokens and no pass. */
  | { readonly type: 'step'; readonly tokenIds: number[]; readonly text: string; readonly pass?: PassStats }
  | { readonly type: 'end'; readonly finishReason: FinishReason; readonly numForwardPasses: number };

/** A TidarError as it crosses threads. */
export interface EngineError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly param?: string;
  readonly internal?: string;
}

/** From the engine's thread to the main one. Every submitted id gets exactly one `end` event or `error`. */
export type FromEngine =
  | { readonly type: 'ready'; readonly runtime: string }
  /** The model could not be opened; the thread ends. */
  | { readonly type: 'failed'; readonly error: EngineError }
  | { readonly type: 'event'; readonly id: number; readonly event: EngineEvent }
  | { readonly type: 'error'; readonly id: number; readonly error: EngineError };

export function toEngineError(thrown: unknown): EngineError {
  const { code, message, retryable, param, internal } = toTidarError(thrown);
  return {
    code,
    message,
    retryable,
    ...(param === undefined ? {} : { param }),
    ...(internal === undefined ? {} : { internal }),
  };
}

export function fromEngineError({ code, message, ...options }: EngineError): TidarError {
  return new TidarError(code, message, options);
}
