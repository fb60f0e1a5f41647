import {
  hashTokenIds,
  LEASE_VERSION,
  type LeasePayload,
  type LeasePurpose,
  sha256Hex,
  signLease,
} from '@tidar/shared/lease.ts';

/** What a lease is for: one attempt of one request on one instance. */
export interface LeaseTarget {
  requestId: string;
  attempt: number;
  numChoices: number;
  tenant: string;
  fingerprint: string;
  /** The instance's address. */
  backend: string;
}

export interface LeaseTerms {
  purpose: LeasePurpose;
  /** The exact bytes that it comes with. */
  body: Uint8Array<ArrayBuffer>;
  endToken: number;
  /** The tokens that an attempt goes on from, by choice. */
  resumed?: readonly (readonly number[])[] | undefined;
  expiresAtMs: number;
}

/** A lease, signed with the secret. */
export async function leaseFor(target: LeaseTarget, terms: LeaseTerms, secret: string): Promise<string> {
  const { resumed } = terms;
  const payload: LeasePayload = {
    version: LEASE_VERSION,
    purpose: terms.purpose,
    request_id: target.requestId,
    attempt: target.attempt,
    choices: target.numChoices,
    tenant: target.tenant,
    fingerprint: target.fingerprint,
    first_tokens: resumed?.map(({ length }) => length) ?? Array<number>(target.numChoices).fill(0),
    end_token: terms.endToken,
    backend: target.backend,
    request_hash: await sha256Hex(terms.body),
    resume_hash: resumed === undefined ? null : await hashTokenIds(resumed),
    expires_at_ms: terms.expiresAtMs,
  };
  return signLease(payload, secret);
}
