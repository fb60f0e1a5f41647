import { TidarError } from '@tidar/shared/errors.ts';
import type { ApiKey } from '../auth/api-key.ts';
import { invalidApiKey } from '../auth/authenticate.ts';
import type { Bindings } from '../env.ts';
import type { Ledger } from './ledger.ts';
import type { NewRequest, RateLimit } from './types.ts';

export type LedgerStub = DurableObjectStub<Ledger>;

export function ledgerOf(env: Bindings, keyId: string): LedgerStub {
  return env.LEDGER.get(env.LEDGER.idFromName(keyId));
}

/** Refuses a key whose secret its ledger does not know. */
export async function verifyKey(env: Bindings, key: ApiKey): Promise<void> {
  if (!(await ledgerOf(env, key.keyId).verify(key.secretHash))) throw invalidApiKey();
}

export interface AdmissionAnswer {
  /** OpenAI's headers for the state of the limit. */
  headers: Record<string, string>;
  refusal?: TidarError;
}

/** The one call that admits a request. */
export async function admit(ledger: LedgerStub, request: NewRequest): Promise<AdmissionAnswer> {
  const admission = await ledger.admit(request);
  const headers = admission.rateLimit === undefined ? {} : rateLimitHeaders(admission.rateLimit);
  if (admission.admitted) return { headers };
  return { headers, refusal: TidarError.from(admission.error) };
}

function rateLimitHeaders(rateLimit: RateLimit): Record<string, string> {
  return {
    'x-ratelimit-limit-requests': String(rateLimit.limit),
    'x-ratelimit-remaining-requests': String(rateLimit.remaining),
    'x-ratelimit-reset-requests': duration(rateLimit.resetAfterMs),
  };
}

/** `850ms`, `8.64s`, `6m0s`: as OpenAI writes them. */
function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const minutes = Math.floor(milliseconds / 60_000);
  const seconds = `${(milliseconds % 60_000) / 1000}s`;
  return minutes === 0 ? seconds : `${minutes}m${seconds}`;
}
