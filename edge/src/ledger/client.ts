import { retryAfterHeader, TidarError } from '@tidar/shared/errors.ts';
import type { ApiKey } from '../auth/api-key.ts';
import type { Bindings } from '../env.ts';
import type { Ledger } from './ledger.ts';
import type { Grant, LimitState, NewRequest, RateLimits, Refused } from './types.ts';

export type LedgerStub = DurableObjectStub<Ledger>;

export function ledgerOf(env: Bindings, keyId: string): LedgerStub {
  return env.LEDGER.get(env.LEDGER.idFromName(keyId));
}

export function isRefused(answer: object | undefined): answer is Refused {
  return answer !== undefined && 'error' in answer;
}

/** What the ledger found; its refusal is thrown. */
export function accepted<Answer extends object>(answer: Answer): Exclude<Answer, Refused> {
  if (isRefused(answer)) throw TidarError.from(answer.error);
  return answer as Exclude<Answer, Refused>;
}

/** Refuses a key whose secret its ledger does not know; else the models that it may use, null for all. */
export async function verifyKey(env: Bindings, key: ApiKey): Promise<string[] | null> {
  return accepted(await ledgerOf(env, key.keyId).verify(key.secretHash)).models;
}

export interface AdmissionAnswer {
  /** OpenAI's headers for the state of the limits. */
  headers: Record<string, string>;
  refusal?: TidarError;
  /** How far it may be generated, and when it was admitted. */
  grant?: Grant;
  createdMs?: number;
  /** The request whose answer is also this one's. */
  duplicateOf?: string;
}

/** The one call that admits a request. */
export async function admit(ledger: LedgerStub, request: NewRequest): Promise<AdmissionAnswer> {
  const admission = await ledger.admit(request);
  if ('duplicateOf' in admission) return { headers: {}, duplicateOf: admission.duplicateOf };
  const headers = admission.rateLimits === undefined ? {} : rateLimitHeaders(admission.rateLimits);
  if (admission.admitted) return { headers, grant: admission.grant, createdMs: admission.createdMs };
  return { headers, refusal: TidarError.from(admission.error) };
}

function rateLimitHeaders({ requests, tokens }: RateLimits): Record<string, string> {
  return {
    ...headersOf('requests', requests),
    ...(tokens === undefined ? {} : headersOf('tokens', tokens)),
  };
}

function headersOf(what: string, state: LimitState): Record<string, string> {
  return {
    [`x-ratelimit-limit-${what}`]: String(state.limit),
    [`x-ratelimit-remaining-${what}`]: String(state.remaining),
    [`x-ratelimit-reset-${what}`]: duration(state.resetAfterMs),
  };
}

/** When, and whether, to try again: as OpenAI's clients read it. */
export function retryHeaders(error: TidarError): Record<string, string> {
  const { retryAfterMs, httpStatus, retryable } = error;
  return {
    ...retryAfterHeader(error),
    ...(retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) }),
    // OpenAI's clients try every 409 and 429 again, unless they are told.
    ...(httpStatus === 409 || httpStatus === 429 ? { 'x-should-retry': String(retryable) } : {}),
  };
}

/** `850ms`, `8.64s`, `6m0s`: as OpenAI writes them. */
function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const minutes = Math.floor(milliseconds / 60_000);
  const seconds = `${(milliseconds % 60_000) / 1000}s`;
  return minutes === 0 ? seconds : `${minutes}m${seconds}`;
}
