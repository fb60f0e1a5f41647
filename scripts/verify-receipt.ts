/** `npm run verify-receipt`: checks that an edge signed a receipt, and that it is of these tokens. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import {
  type PublicReceiptKey,
  receiptKeysSchema,
  type SignedReceipt,
  signedReceiptSchema,
  verifyReceipt,
} from '@tidar/shared/receipt.ts';

const HELP = `npm run verify-receipt -- FILE --keys SOURCE [--tokens FILE]

  FILE      a receipt, or the whole answer of GET /v1/usage/requests/:id, as JSON; "-" is the standard input
  --keys    where the public keys are: an edge's address, or a file with the answer of GET /v1/receipt-keys
  --tokens  a JSON list of the completion's token ids by choice, such as [[1,2],[3]]: checks the hash, too

The exit status is 0 if all of it holds, 1 if not, 2 if it could not be checked.
`;

async function readText(path: string): Promise<string> {
  if (path !== '-') return readFile(path, 'utf8');
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  return text;
}

async function readReceipt(path: string): Promise<SignedReceipt> {
  const value = JSON.parse(await readText(path)) as { receipt?: { receipt?: unknown } };
  return signedReceiptSchema.parse(value.receipt?.receipt === undefined ? value : value.receipt);
}

async function readKeys(source: string): Promise<PublicReceiptKey[]> {
  if (!/^https?:\/\//.test(source)) return receiptKeysSchema.parse(JSON.parse(await readText(source))).keys;
  const response = await fetch(`${source.replace(/\/+$/, '')}/v1/receipt-keys`);
  return receiptKeysSchema.parse(await response.json()).keys;
}

/** What is wrong with the receipt; undefined if nothing is. */
async function problemOf(
  signed: SignedReceipt,
  keys: PublicReceiptKey[],
  tokensPath: string | undefined,
): Promise<string | undefined> {
  if (!keys.some(({ kid }) => kid === signed.kid)) return `no public key has the id ${signed.kid}`;
  if (!(await verifyReceipt(signed, keys))) return 'the signature is not of this receipt';
  if (tokensPath === undefined) return undefined;
  const tokenIds = JSON.parse(await readText(tokensPath)) as number[][];
  const isSame = (await hashTokenIds(tokenIds)) === signed.receipt.tokens_hash;
  return isSame ? undefined : 'the tokens are others than the ones that were billed';
}

async function main(args: string[]): Promise<number> {
  const options = {
    keys: { type: 'string' },
    tokens: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
  const [path] = positionals;
  if (values.help === true || path === undefined || values.keys === undefined) {
    process.stdout.write(HELP);
    return values.help === true ? 0 : 2;
  }
  const signed = await readReceipt(path);
  const problem = await problemOf(signed, await readKeys(values.keys), values.tokens);
  const { request_id, completion_tokens, cost_nanos } = signed.receipt;
  if (problem === undefined) {
    console.log(`valid: ${request_id}, ${completion_tokens} completion tokens, ${cost_nanos} nano-units`);
    return 0;
  }
  console.error(`NOT valid: ${problem}`);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`Could not be checked: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
