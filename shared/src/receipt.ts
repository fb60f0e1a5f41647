import { z } from 'zod';
import { fromBase64Url, sha256Hex, toBase64Url, utf8 } from './lease.ts';

const count = z.int().nonnegative();

/** What one request was billed for. */
export const receiptSchema = z.object({
  version: z.literal(1),
  request_id: z.string(),
  /** The id of the API key, which is no secret. */
  key_id: z.string(),
  model: z.string(),
  fingerprint: z.string().nullable(),
  seed: z.string().nullable(),
  created_ms: count,
  settled_ms: count,
  finish_reason: z.string(),
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  cost_nanos: count,
  /** The counts are what was proven delivered, not the backend's own total. */
  estimated: z.boolean(),
  /** `hashTokenIds` of the completion by choice; null where it is not known. */
  tokens_hash: z.string().nullable(),
});
export type Receipt = z.infer<typeof receiptSchema>;

export const signedReceiptSchema = z.object({
  receipt: receiptSchema,
  /** The id of the public key. */
  kid: z.string(),
  /** Ed25519, in base64url. */
  signature: z.string(),
});
export type SignedReceipt = z.infer<typeof signedReceiptSchema>;

export const receiptKeysSchema = z.object({
  keys: z.array(
    z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), kid: z.string(), x: z.string() }),
  ),
});
export type PublicReceiptKey = z.infer<typeof receiptKeysSchema>['keys'][number];

type CryptoKeyOf = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** A signing key with the public key that checks it. */
export interface ReceiptKey {
  privateKey: CryptoKeyOf;
  publicKey: PublicReceiptKey;
}

/** The PKCS #8 of an Ed25519 key is this, then its 32 bytes. */
const PKCS8_HEAD = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const KID_HEX_DIGITS = 16;

/** The key pair that belongs to a secret: always the same, and no way back to it. */
export async function receiptKeyOf(secret: string): Promise<ReceiptKey> {
  const base = await crypto.subtle.importKey('raw', utf8(secret), 'HKDF', false, ['deriveBits']);
  const info = utf8('tidar receipt signing key, version 1');
  const derivation = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(derivation, base, 256));
  const pkcs8 = new Uint8Array([...PKCS8_HEAD, ...seed]);
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
  const { x = '' } = (await crypto.subtle.exportKey('jwk', privateKey)) as { x?: string };
  const kid = (await sha256Hex(utf8(x))).slice(0, KID_HEX_DIGITS);
  return { privateKey, publicKey: { kty: 'OKP', crv: 'Ed25519', kid, x } };
}

export async function signReceipt(receipt: Receipt, key: ReceiptKey): Promise<SignedReceipt> {
  const signature = await crypto.subtle.sign('Ed25519', key.privateKey, signedBytes(receipt));
  return { receipt, kid: key.publicKey.kid, signature: toBase64Url(new Uint8Array(signature)) };
}

/** Whether one of the public keys signed exactly this receipt. */
export async function verifyReceipt(
  { receipt, kid, signature }: SignedReceipt,
  keys: readonly PublicReceiptKey[],
): Promise<boolean> {
  const key = keys.find((candidate) => candidate.kid === kid);
  const [point, bytes] = [key && fromBase64Url(key.x), fromBase64Url(signature)];
  if (point === undefined || bytes === undefined) return false;
  const publicKey = await crypto.subtle.importKey('raw', point, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', publicKey, bytes, signedBytes(receipt));
}

/** The fields in the schema's order, whatever order they came in. */
function signedBytes(receipt: Receipt): Uint8Array<ArrayBuffer> {
  return utf8(`tidar receipt\n${JSON.stringify(receiptSchema.parse(receipt))}`);
}
