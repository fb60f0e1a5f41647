import { type ErrorObject, TidarError } from '@tidar/shared/errors.ts';

/** The connection to a backend failed, or its time was up: of its generation this says nothing. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  /** It is connected and says nothing: to ask it for the same again is of no use. */
  readonly isSilent: boolean;
  /** It had taken the request before: once it is back, it or another may go on with it. */
  readonly hadTaken: boolean;

  constructor(message: string, { isSilent = false, hadTaken = false } = {}) {
    super(message);
    this.isSilent = isSilent;
    this.hadTaken = hadTaken;
  }
}

/** The backend said what the protocol does not allow: nothing more of it is believed. */
export class ProtocolBreach extends Error {
  override readonly name = 'ProtocolBreach';
}

/** Errors between edge and backend that say nothing to a client. */
const OUR_OWN_FAULT = new Set([
  'lease_invalid',
  'lease_expired',
  'duplicate_attempt',
  'attempt_superseded',
  'not_found',
  'invalid_json',
]);
/** What only the edge can know: no backend is believed that says so. */
const OF_THE_EDGE = new Set([
  'missing_api_key',
  'invalid_api_key',
  'key_revoked',
  'key_expired',
  'forbidden',
  'rate_limit_exceeded',
  'insufficient_quota',
  'idempotency_in_flight',
  'idempotency_broken',
  'idempotency_mismatch',
]);

/** The error that a backend tells of. */
export function errorOfBackend(object: ErrorObject): Error {
  if (OF_THE_EDGE.has(object.code)) return new ProtocolBreach(`a backend says ${object.code}`);
  return TidarError.from(object);
}

/** What another backend, or the same one later, may do better. */
const ELSEWHERE = new Set([
  'overloaded',
  'shutting_down',
  'backend_unavailable',
  'lease_expired',
  'lease_invalid',
  'duplicate_attempt',
  'not_found',
  'cancelled',
  'model_not_found',
]);

/** Whether the request may be asked again of another backend. */
export function isForAnother(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof TidarError && ELSEWHERE.has(error.code));
}

/** What the client is told of a failure between edge and backend. */
export function publicError(error: unknown): unknown {
  if (error instanceof Unreachable || error instanceof ProtocolBreach) return backendFailed(error.message);
  if (!(error instanceof TidarError) || !OUR_OWN_FAULT.has(error.code)) return error;
  return new TidarError(
    'internal',
    'The edge and its backend do not agree. The request id names it in the log.',
    { internal: `${error.code}: ${error.message}`, cause: error },
  );
}

export function backendFailed(internal: string): TidarError {
  return new TidarError(
    'backend_unavailable',
    'The backend failed before the answer was complete. Try again.',
    { internal, retryAfterMs: 1_000 },
  );
}

/** Why a relay ends that nobody reads any more. One for all: it has nothing of a request, and its stack keeps none. */
export const CLIENT_LEFT = new TidarError('cancelled', 'The client closed the connection.');
