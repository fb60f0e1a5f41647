import { describe, expect, it } from 'vitest';
import { type Receipt, receiptKeyOf, signReceipt, verifyReceipt } from './receipt.ts';

const SECRET = 'receipt-secret-for-tests-only-0123456789';
const RECEIPT: Receipt = {
  version: 1,
  request_id: 'req_1',
  key_id: 'k1',
  model: 'demo',
  fingerprint: 'fp',
  seed: '18446744073709551615',
  created_ms: 1,
  settled_ms: 2,
  finish_reason: 'stop',
  prompt_tokens: 3,
  cached_tokens: 1,
  completion_tokens: 2,
  cost_nanos: 221,
  estimated: false,
  tokens_hash: 'ab',
};

describe('receipt', () => {
  it('is proven by the public key of its signer, in any order of its fields', async () => {
    const key = await receiptKeyOf(SECRET);
    const signed = await signReceipt(RECEIPT, key);
    const reversed = Object.fromEntries(Object.entries(signed.receipt).reverse()) as Receipt;
    expect(await verifyReceipt(signed, [key.publicKey])).toBe(true);
    expect(await verifyReceipt({ ...signed, receipt: reversed }, [key.publicKey])).toBe(true);
  });

  it('is not proven once any field is another', async () => {
    const key = await receiptKeyOf(SECRET);
    const signed = await signReceipt(RECEIPT, key);
    for (const [name, value] of Object.entries(RECEIPT)) {
      if (name === 'version') continue;
      const other = typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}0` : !value;
      const receipt = { ...RECEIPT, [name]: other };
      expect([name, await verifyReceipt({ ...signed, receipt }, [key.publicKey])]).toEqual([name, false]);
    }
  });

  it('is not proven by another key, even under the same id, nor with a cut signature', async () => {
    const [key, other] = await Promise.all([receiptKeyOf(SECRET), receiptKeyOf(`${SECRET}x`)]);
    const signed = await signReceipt(RECEIPT, key);
    expect(await verifyReceipt(signed, [other.publicKey])).toBe(false);
    expect(await verifyReceipt(signed, [{ ...other.publicKey, kid: signed.kid }])).toBe(false);
    expect(await verifyReceipt(signed, [])).toBe(false);
    const cut = { ...signed, signature: signed.signature.slice(0, -4) };
    expect(await verifyReceipt(cut, [key.publicKey])).toBe(false);
  });

  it("has the public key of the standard's private key", async () => {
    const { privateKey, publicKey } = await receiptKeyOf(SECRET);
    const jwk = (await crypto.subtle.exportKey('jwk', privateKey)) as { x: string; d: string };
    expect(jwk.x).toBe(publicKey.x);
    expect((await receiptKeyOf(SECRET)).publicKey).toEqual(publicKey);
    expect(JSON.stringify(publicKey)).not.toContain(jwk.d);
  });
});
