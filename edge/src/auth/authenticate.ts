import { TidarError } from '@tidar/shared/errors.ts';
import { sha256Hex, utf8 } from '@tidar/shared/lease.ts';
import { type ApiKey, readApiKey } from './api-key.ts';
import { equalInConstantTime } from './encoding.ts';

const BEARER = /^Bearer +(\S+) *$/i;

/** The caller's API key. Its secret is not yet compared with the ledger's: admission does that. */
export async function authenticate(
  authorization: string | undefined,
  secrets: readonly string[],
): Promise<ApiKey> {
  const key = await readApiKey(bearerToken(authorization, 'an API key'), secrets);
  if (key === undefined) throw invalidApiKey();
  return key;
}

export function invalidApiKey(): TidarError {
  return new TidarError('invalid_api_key', 'The API key is not valid: check that it was copied whole.');
}

/** The bearer's text, for whoever tells admin tokens apart. */
export function adminBearer(authorization: string | undefined): string {
  return bearerToken(authorization, 'an admin token');
}

/** Whether two secrets of any length are the same. */
export async function equalSecrets(given: string, expected: string): Promise<boolean> {
  // Hashes have one length, so the comparison tells nothing of the secret's.
  const [one, other] = await Promise.all([given, expected].map((text) => sha256Hex(utf8(text))));
  return one !== undefined && other !== undefined && equalInConstantTime(one, other);
}

function bearerToken(authorization: string | undefined, what: string): string {
  if (authorization === undefined || authorization === '') {
    throw new TidarError('missing_api_key', `This needs ${what}, in the header 'Authorization: Bearer …'.`);
  }
  const [, token] = BEARER.exec(authorization) ?? [];
  if (token === undefined) {
    throw new TidarError(
      'invalid_api_key',
      "The Authorization header must read 'Bearer', a space, and the key.",
    );
  }
  return token;
}
