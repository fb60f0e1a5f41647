import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload, LeasePurpose } from '@tidar/shared/lease.ts';
import { hashTokenIds, sha256Hex, verifyLease } from '@tidar/shared/lease.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';

/** What a lease must name to be of use here. */
export interface LeaseGate {
  readonly secrets: readonly string[];
  /** This instance's address. */
  readonly instance: string;
  /** Of the model that is to run; absent: none is. */
  readonly fingerprint?: string;
}

/**
 * The lease to do this on this instance; throws `lease_invalid` or `lease_expired`. It says nothing of the body yet, so
 * that nobody's is read who has no lease.
 */
export async function checkLease(
  gate: LeaseGate,
  purpose: LeasePurpose,
  authorization: string | undefined,
): Promise<LeasePayload> {
  const token = /^Bearer ([\w.-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) {
    throw new TidarError(
      'lease_invalid',
      'A lease is needed, as the header "Authorization: Bearer <lease>".',
    );
  }
  const lease = await verifyLease(token, gate.secrets, Date.now());
  if (lease.purpose !== purpose) refuse(`it is a lease to ${lease.purpose}, this is to ${purpose}`);
  if (lease.backend !== gate.instance)
    refuse('it names another backend', `${lease.backend}, this is ${gate.instance}`);
  if (gate.fingerprint !== undefined && lease.fingerprint !== gate.fingerprint)
    refuse('it names another fingerprint than the one served here');
  return lease;
}

/** Checks that it was signed for exactly these bytes. */
export async function checkLeaseBody(lease: LeasePayload, body: Uint8Array<ArrayBuffer>): Promise<void> {
  if (lease.request_hash !== (await sha256Hex(body))) refuse('it was signed for another request body');
}

/** Checks what only the parsed body tells: its request id, its choices and the tokens that it resumes from. */
export async function checkLeaseCovers(lease: LeasePayload, request: GenerateRequest): Promise<void> {
  const { resume, num_choices: numChoices } = request;
  if (lease.request_id !== request.request_id) refuse('it was signed for another request id');
  if (lease.choices !== numChoices)
    refuse(`it is for ${lease.choices} choices, the request for ${numChoices}`);
  const resumeHash = resume === undefined ? null : await hashTokenIds(resume.token_ids);
  if (lease.resume_hash !== resumeHash) refuse('it was signed for other resumed tokens');
  const numResumed = resume?.token_ids.map(({ length }) => length) ?? Array<number>(numChoices).fill(0);
  if (lease.first_tokens.join() !== numResumed.join())
    refuse(`it begins at the tokens ${lease.first_tokens.join()}, the request at ${numResumed.join()}`);
  if (lease.first_tokens.some((firstToken) => firstToken > lease.end_token))
    refuse('it ends before the resumed tokens do');
  if (lease.first_tokens.every((firstToken) => lease.end_token <= firstToken)) refuse('it grants no tokens');
}

function refuse(why: string, detail?: string): never {
  const options = detail === undefined ? {} : { internal: detail };
  throw new TidarError('lease_invalid', `The lease is not valid here: ${why}.`, options);
}
