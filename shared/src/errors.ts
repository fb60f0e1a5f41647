import { z } from 'zod';

const MAX_MESSAGE_LENGTH = 500;

interface ErrorTraits {
  httpStatus: number;
  /** The `type` of OpenAI's error object. */
  openaiType: 'invalid_request_error' | 'rate_limit_error' | 'insufficient_quota' | 'server_error';
  /** Whether the same request may succeed later without any change. */
  retryable: boolean;
  /** When to try again, where nobody knows better. */
  retryAfterMs?: number;
}

const badRequest = (httpStatus: number): ErrorTraits => ({
  httpStatus,
  openaiType: 'invalid_request_error',
  retryable: false,
});
const serverError = (httpStatus: number, retryable: boolean): ErrorTraits => ({
  httpStatus,
  openaiType: 'server_error',
  retryable,
});

/** The closed list of what can go wrong for a caller, with how each is told over HTTP. */
export const ERRORS = {
  invalid_request: badRequest(400),
  invalid_json: badRequest(400),
  unknown_parameter: badRequest(400),
  context_length_exceeded: badRequest(400),
  missing_api_key: badRequest(401),
  invalid_api_key: badRequest(401),
  key_revoked: badRequest(401),
  key_expired: badRequest(401),
  forbidden: badRequest(403),
  model_not_found: badRequest(404),
  not_found: badRequest(404),
  method_not_allowed: badRequest(405),
  /** The rest of a request did not come in time. */
  request_timeout: { ...badRequest(408), retryable: true },
  conflict: badRequest(409),
  /** The first request with this Idempotency-Key still runs. */
  idempotency_in_flight: { ...badRequest(409), retryable: true, retryAfterMs: 2000 },
  /** The first request with this Idempotency-Key was billed, but its answer is not whole. */
  idempotency_broken: badRequest(409),
  /** Another request has this Idempotency-Key. */
  idempotency_mismatch: badRequest(422),
  payload_too_large: badRequest(413),
  unsupported_media_type: badRequest(415),
  rate_limit_exceeded: { httpStatus: 429, openaiType: 'rate_limit_error', retryable: true },
  insufficient_quota: { httpStatus: 429, openaiType: 'insufficient_quota', retryable: false },
  overloaded: { ...serverError(503, true), retryAfterMs: 1000 },
  lease_invalid: badRequest(401),
  lease_expired: { ...badRequest(401), retryable: true },
  duplicate_attempt: badRequest(409),
  /** A higher attempt of the request took this one's place. */
  attempt_superseded: badRequest(409),
  /** Another reader took the stream over from this connection; the generation goes on. */
  stream_taken_over: badRequest(409),
  model_folder_invalid: serverError(500, false),
  unsupported_model: serverError(500, false),
  backend_unavailable: serverError(502, true),
  cancelled: serverError(499, true),
  shutting_down: serverError(503, true),
  internal: serverError(500, false),
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERRORS;

export const errorCodeSchema = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);

/** How an error travels between edge and backend, in a JSON body or in an `error` event. */
export const errorObjectSchema = z.object({
  code: errorCodeSchema,
  message: z.string(),
  retryable: z.boolean(),
  param: z.string().optional(),
  /** How long to wait before another try. */
  retry_after_ms: z.int().nonnegative().optional(),
});
export const errorBodySchema = z.object({ error: errorObjectSchema });
export type ErrorObject = z.infer<typeof errorObjectSchema>;

export interface ErrorOptions {
  /** The request's parameter that is at fault. */
  param?: string;
  /** What only the operator may read: it goes to the log, never to a client. */
  internal?: string;
  /** Where it differs from the code's own. */
  retryable?: boolean;
  /** How long to wait before another try: the header `retry-after`. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** An expected failure: a code of the closed list and a sentence that helps the person who reads it. */
export class TidarError extends Error {
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly internal: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(cut(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TidarError';
    this.code = code;
    this.param = options.param;
    this.internal = options.internal;
    const traits: ErrorTraits = ERRORS[code];
    this.retryable = options.retryable ?? traits.retryable;
    const retryAfterMs = options.retryAfterMs ?? traits.retryAfterMs;
    this.retryAfterMs = retryAfterMs === undefined ? undefined : Math.max(0, Math.ceil(retryAfterMs));
  }

  get httpStatus(): number {
    return ERRORS[this.code].httpStatus;
  }

  /** The error that a body or an event of the protocol carried. */
  static from(object: ErrorObject): TidarError {
    return new TidarError(object.code, object.message, {
      retryable: object.retryable,
      ...(object.param === undefined ? {} : { param: object.param }),
      ...(object.retry_after_ms === undefined ? {} : { retryAfterMs: object.retry_after_ms }),
    });
  }
}

/** A sentence is read by a person: what quotes something endless is cut. */
function cut(message: string): string {
  return message.length <= MAX_MESSAGE_LENGTH
    ? message
    : `${message.slice(0, MAX_MESSAGE_LENGTH)}…`.toWellFormed();
}

/** Any thrown value as a TidarError; what was not expected keeps its message inside. */
export function toTidarError(error: unknown): TidarError {
  if (error instanceof TidarError) return error;
  const internal = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new TidarError(
    'internal',
    'Something went wrong on the server. The request id names it in the log.',
    {
      internal,
      cause: error,
    },
  );
}

/** The protocol's error body: the public part only. */
export function errorBody(error: unknown): { error: ErrorObject } {
  const { code, message, retryable, param, retryAfterMs } = toTidarError(error);
  return {
    error: {
      code,
      message,
      retryable,
      ...(param === undefined ? {} : { param }),
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    },
  };
}

/** The header `retry-after` where the error tells a time: whole seconds, rounded up, at least one. */
export function retryAfterHeader({ retryAfterMs }: TidarError): { 'retry-after'?: string } {
  if (retryAfterMs === undefined) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}
