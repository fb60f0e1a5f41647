import { z } from 'zod';
import { TidarError } from './errors.ts';
import { MAX_CHOICES, PROTOCOL_VERSION } from './protocol.ts';

/** A lease belongs to one version of the protocol: a peer of another refuses it before it reads anything else. */
export const LEASE_VERSION = PROTOCOL_VERSION;
const MIN_SECRET_LENGTH = 32;

const count = z.int().nonnegative();

/**
 * `generate`: start this attempt. `renew`: let its running generation go on to a later `end_token`. `read`: tell what
 * it generated, and its events. `forget`: delete what is kept of the request's text.
 */
export const leasePurposeSchema = z.enum(['generate', 'renew', 'read', 'forget']);
export type LeasePurpose = z.infer<typeof leasePurposeSchema>;

/**
 * What a backend may do for a request: of each choice the tokens [first_tokens[choice], end_token), in one attempt, on
 * one instance. To `read`, the tokens and the fingerprint do not matter.
 */
export const leasePayloadSchema = z.strictObject({
  version: z.literal(LEASE_VERSION),
  purpose: leasePurposeSchema,
  request_id: z.string().min(1).max(128),
  attempt: count,
  choices: z.int().min(1).max(MAX_CHOICES),
  /** Who asks, as an opaque name: the unit of fairness in the queue and of what the prefix cache shares. */
  tenant: z.string().min(1).max(128),
  fingerprint: z.string().min(1),
  first_tokens: z.array(count),
  end_token: count,
  /** The address of the instance that may use it. */
  backend: z.string().min(1),
  /** SHA-256 of the exact bytes of the body that it comes with, in hex. */
  request_hash: z.string(),
  /** `hashTokenIds` of the resumed tokens by choice, or null where nothing is resumed. */
  resume_hash: z.string().nullable(),
  expires_at_ms: count,
});
export type LeasePayload = z.infer<typeof leasePayloadSchema>;

/** Secrets as configured under `name`: separated by commas, the first one signs, all of them verify. */
export function parseSecrets(text: string, name: string): string[] {
  const secrets = text
    .split(',')
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '');
  if (secrets.length === 0) throw new Error(`${name} is empty: it needs at least one secret`);
  if (secrets.some((secret) => secret.length < MIN_SECRET_LENGTH)) {
    throw new Error(`${name}: every secret needs at least ${MIN_SECRET_LENGTH} characters`);
  }
  return secrets;
}

/** Secrets that sign leases. */
export function parseLeaseSecrets(text: string): string[] {
  return parseSecrets(text, 'LEASE_SECRETS');
}

/** `v4.<payload>.<mac>`, both in base64url; the MAC covers everything before it. */
export async function signLease(payload: LeasePayload, secret: string): Promise<string> {
  const text = JSON.stringify(leasePayloadSchema.parse(payload));
  const signed = `v${LEASE_VERSION}.${toBase64Url(utf8(text))}`;
  return `${signed}.${toBase64Url(await hmac(utf8(signed), secret))}`;
}

/** The payload of a lease that one of the secrets signed and that has not expired; anything else throws. */
export async function verifyLease(
  token: string,
  secrets: readonly string[],
  nowMs: number,
): Promise<LeasePayload> {
  const [version, payloadPart, macPart, ...rest] = token.split('.');
  if (version !== `v${LEASE_VERSION}`) throw otherVersion(version);
  if (payloadPart === undefined || macPart === undefined || rest.length > 0) {
    throw invalidLease(`not of the form v${LEASE_VERSION}.payload.mac`);
  }
  const mac = fromBase64Url(macPart);
  const signed = utf8(`${version}.${payloadPart}`);
  if (mac === undefined || !(await signedByAny(secrets, mac, signed))) throw invalidLease('wrong signature');
  const payload = parsePayload(payloadPart);
  if (payload.expires_at_ms <= nowMs)
    throw new TidarError('lease_expired', 'The lease has expired: the request needs a new one.');
  return payload;
}

/** Text as bytes in a buffer of their own, which is what every runtime's types of Web Crypto take. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

/** SHA-256 of bytes, in lower-case hex. */
export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** SHA-256 of lists of token ids, each as its length and its ids in little-endian 32-bit integers: `resume_hash`. */
export function hashTokenIds(lists: readonly (readonly number[])[]): Promise<string> {
  const numbers = lists.flatMap((tokenIds) => [tokenIds.length, ...tokenIds]);
  const bytes = new Uint8Array(numbers.length * 4);
  const view = new DataView(bytes.buffer);
  numbers.forEach((number, index) => view.setUint32(index * 4, number, true));
  return sha256Hex(bytes);
}

/** HMAC-SHA-256. */
export async function hmac(bytes: Uint8Array<ArrayBuffer>, secret: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', await hmacKey(secret), bytes));
}

/** Whether it is the HMAC by one of the secrets; every one is tried, however early one fits. */
export async function signedByAny(
  secrets: readonly string[],
  mac: Uint8Array<ArrayBuffer>,
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const checks = secrets.map(async (secret) =>
    crypto.subtle.verify('HMAC', await hmacKey(secret), mac, signed),
  );
  return (await Promise.all(checks)).includes(true);
}

function parsePayload(payloadPart: string): LeasePayload {
  const bytes = fromBase64Url(payloadPart);
  if (bytes === undefined) throw invalidLease('payload is not base64url');
  try {
    return leasePayloadSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw invalidLease(`payload does not parse: ${String(error)}`);
  }
}

function otherVersion(version: string | undefined): TidarError {
  const found = /^v\d{1,9}$/.test(version ?? '') ? `of version ${version?.slice(1)}` : 'of no known version';
  return new TidarError(
    'lease_invalid',
    `The lease is ${found}; this backend takes version ${LEASE_VERSION}. Edge and backend need the same release.`,
  );
}

function invalidLease(internal: string): TidarError {
  const message =
    'The lease is not valid: it must come as it was signed, with one of the LEASE_SECRETS of this backend.';
  return new TidarError('lease_invalid', message, { internal });
}

type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** Of the few secrets that a process has. The keys themselves: a promise must not be shared between a Worker's requests. */
const hmacKeys = new Map<string, HmacKey>();

async function hmacKey(secret: string): Promise<HmacKey> {
  const known = hmacKeys.get(secret);
  if (known !== undefined) return known;
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', utf8(secret), algorithm, false, ['sign', 'verify']);
  hmacKeys.set(secret, key);
  return key;
}

export function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Undefined unless `text` is the one canonical encoding of its bytes: else spare bits could be changed unseen. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return toBase64Url(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
