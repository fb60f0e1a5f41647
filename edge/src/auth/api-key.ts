import { hmac, sha256Hex, utf8 } from '@tidar/shared/lease.ts';
import { equalInConstantTime, randomBase32, toBase32 } from './encoding.ts';

/** What begins a key of the API, and a token of the admin API. */
export type KeyPrefix = 'tdr' | 'tda';
const KEY_ID_BYTES = 10;
const SECRET_BYTES = 20;
const CHECK_BYTES = 10;
const FORM = /^(tdr|tda)_([0-9a-hjkmnp-tv-z]{16})_([0-9a-hjkmnp-tv-z]{32})_([0-9a-hjkmnp-tv-z]{16})$/;

/** A key whose check part is right: made by this edge, though its ledger may say otherwise. */
export interface ApiKey {
  keyId: string;
  /** All that is ever stored of the secret. */
  secretHash: string;
}

/** A new key: its text is shown once and never again. */
export function createApiKey(
  secrets: readonly string[],
  prefix: KeyPrefix = 'tdr',
): Promise<ApiKey & { text: string }> {
  return createSecret(secrets, randomBase32(KEY_ID_BYTES), prefix);
}

/** Another secret of a key that there is. */
export async function createSecret(
  secrets: readonly string[],
  keyId: string,
  prefix: KeyPrefix = 'tdr',
): Promise<ApiKey & { text: string }> {
  const [signer] = secrets;
  if (signer === undefined) throw new Error('KEY_SECRETS is empty');
  const secret = randomBase32(SECRET_BYTES);
  const body = `${prefix}_${keyId}_${secret}`;
  const text = `${body}_${await checkPart(body, signer)}`;
  return { keyId, secretHash: await hashSecret(secret), text };
}

/** The key, or undefined for a made-up one: found out by its check part, without touching storage. */
export async function readApiKey(
  text: string,
  secrets: readonly string[],
  prefix: KeyPrefix = 'tdr',
): Promise<ApiKey | undefined> {
  const [, found, keyId, secret, check] = FORM.exec(text) ?? [];
  if (found !== prefix || keyId === undefined || secret === undefined || check === undefined)
    return undefined;
  const body = `${prefix}_${keyId}_${secret}`;
  const expected = await Promise.all(secrets.map((signer) => checkPart(body, signer)));
  const right = expected.map((part) => equalInConstantTime(part, check)).includes(true);
  return right ? { keyId, secretHash: await hashSecret(secret) } : undefined;
}

async function checkPart(body: string, signer: string): Promise<string> {
  const mac = await hmac(utf8(body), signer);
  return toBase32(mac.subarray(0, CHECK_BYTES));
}

/** The secret has 160 random bits, so a plain hash of it cannot be searched. */
function hashSecret(secret: string): Promise<string> {
  return sha256Hex(utf8(secret));
}
