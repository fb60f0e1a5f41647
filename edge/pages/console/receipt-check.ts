import { receiptKeysSchema, type SignedReceipt, verifyReceipt } from '@tidar/shared/receipt.ts';
import { askFor } from '../common/http.ts';

export type Verdict = 'valid' | 'invalid' | 'unknown-key' | 'no-ed25519';

/** Whether this edge's published key signed the receipt; checked here, by the browser itself. */
export async function checkReceipt(signed: SignedReceipt, signal: AbortSignal): Promise<Verdict> {
  const { keys } = await askFor(receiptKeysSchema, '/v1/receipt-keys', { signal });
  if (!keys.some(({ kid }) => kid === signed.kid)) return 'unknown-key';
  if (!(await hasEd25519())) return 'no-ed25519';
  return (await verifyReceipt(signed, keys)) ? 'valid' : 'invalid';
}

/** Old browsers lack it, and all do on a page that came over plain HTTP from another machine. */
async function hasEd25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
    return true;
  } catch {
    return false;
  }
}
