import { TidarError } from '@tidar/shared/errors.ts';
import {
  type Receipt,
  type ReceiptKey,
  receiptKeyOf,
  type SignedReceipt,
  signReceipt,
} from '@tidar/shared/receipt.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv, EdgeConfig } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import type { RequestRecord } from '../ledger/types.ts';

/** `GET /v1/usage/requests/:id`: one request and, once it is billed, its signed receipt. */
export async function getRequest(c: Context<AppEnv>): Promise<Response> {
  const config = c.get('config');
  const key = await authenticate(c.req.header('authorization'), config.KEY_SECRETS);
  const found = await ledgerOf(c.env, key.keyId).request(key.secretHash, c.req.param('id') ?? '');
  if (found === undefined) throw new TidarError('not_found', 'This key has no request with this id.');
  const { request } = accepted(found);
  const receipt = await receiptFor(config, key.keyId, request);
  return c.json({ object: 'usage.request', request, receipt });
}

/** The signed receipt of a request that is billed; null of any other. */
export async function receiptFor(
  config: EdgeConfig,
  keyId: string,
  request: RequestRecord,
): Promise<SignedReceipt | null> {
  const receipt = receiptOf(keyId, request);
  const [signer] = await receiptKeys(config);
  return receipt === undefined || signer === undefined ? null : signReceipt(receipt, signer);
}

/** `GET /v1/receipt-keys`: the public keys that receipts are checked with, as a JSON Web Key Set. */
export async function getReceiptKeys(c: Context<AppEnv>): Promise<Response> {
  const keys = await receiptKeys(c.get('config'));
  return c.json({ keys: keys.map(({ publicKey }) => ({ ...publicKey, alg: 'EdDSA', use: 'sig' })) });
}

function receiptKeys({ RECEIPT_SECRETS, KEY_SECRETS }: EdgeConfig): Promise<ReceiptKey[]> {
  return Promise.all((RECEIPT_SECRETS ?? KEY_SECRETS).map(receiptKeyOf));
}

function receiptOf(keyId: string, request: RequestRecord): Receipt | undefined {
  const { state, settled_ms, finish_reason } = request;
  if (state !== 'settled' || settled_ms === null || finish_reason === null) return undefined;
  const { model, fingerprint, seed, created_ms, estimated, tokens_hash, cost_nanos } = request;
  const { prompt_tokens, cached_tokens, completion_tokens } = request;
  return {
    version: 1,
    request_id: request.id,
    key_id: keyId,
    model,
    fingerprint,
    seed,
    created_ms,
    settled_ms,
    finish_reason,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    cost_nanos,
    estimated,
    tokens_hash,
  };
}
