import { sha256Hex, utf8 } from '@tidar/shared/lease.ts';

const TENANT_HEX_DIGITS = 32;

/** What a backend knows a key by: always the same for a key, and nothing that leads back to it. */
export async function tenantOf(keyId: string): Promise<string> {
  return (await sha256Hex(utf8(`tenant of ${keyId}`))).slice(0, TENANT_HEX_DIGITS);
}
