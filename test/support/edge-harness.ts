import { createTestHarness, type TestHarness } from 'wrangler';
import type { SettingsChange } from '../../edge/src/ledger/settings.ts';
import type {
  Admission,
  Grant,
  KeyAnswer,
  NewKey,
  NewRequest,
  Progress,
  PromptCounts,
  Refused,
  RequestTerms,
  Settlement,
  UsageReport,
} from '../../edge/src/ledger/types.ts';

/** A real ledger, called from outside as the Worker calls it. */
export interface RemoteLedger {
  create(key: NewKey, actor: string): Promise<KeyAnswer>;
  verify(secretHash: string): Promise<Refused | { models: string[] | null }>;
  admit(request: NewRequest): Promise<Admission>;
  start(requestId: string, progress: Progress, prompt: PromptCounts): Promise<Refused | object>;
  renew(requestId: string, progress: Progress): Promise<Refused | Grant>;
  settle(requestId: string, settlement: Settlement): Promise<void>;
  usage(secretHash: string, numRequests: number): Promise<UsageReport | Refused>;
}

/** What a test's request asks for where nothing else is said: 100 tokens of context, nobody to generate them. */
export const TEST_TERMS: RequestTerms = {
  backend: 'http://127.0.0.1:9',
  numChoices: 1,
  maxTokens: 100,
  contextLength: 100,
  sliceTokens: 1_000,
  includeUsage: false,
};

interface LedgerNamespace {
  idFromName(name: string): object;
  get(id: object): RemoteLedger;
}

export interface EdgeHarness {
  url: string;
  server: TestHarness;
  /** The ledger of this key id; a new one has no key yet. */
  ledger(keyId: string): Promise<RemoteLedger>;
  /** Makes a key through the admin route. */
  createKey(options?: SettingsChange): Promise<string>;
  close(): Promise<void>;
}

export const ADMIN_TOKEN = 'admin-token-for-tests-only-0123456789';
export const TEST_SECRETS = {
  LEASE_SECRETS: 'lease-secret-for-tests-only-0123456789',
  KEY_SECRETS: 'key-secret-for-tests-only-0123456789abc',
  ADMIN_TOKEN,
};

/** The project's Worker, as wrangler.toml has it, in a real workerd with its state in memory. */
export async function startEdgeHarness(
  vars: Record<string, string> = {},
  configPath = new URL('../../wrangler.toml', import.meta.url),
): Promise<EdgeHarness> {
  // Nothing here may ask the network.
  process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
  const server = createTestHarness({ workers: [{ configPath, vars, secrets: TEST_SECRETS }] });
  const { url } = await server.listen();
  const worker = server.getWorker();
  return {
    url: url.origin,
    server,
    async ledger(keyId) {
      const { LEDGER } = (await worker.getEnv()) as { LEDGER: LedgerNamespace };
      return LEDGER.get(LEDGER.idFromName(keyId));
    },
    createKey: (options = {}) => createKey(url.origin, options),
    close: () => server.close(),
  };
}

/** Makes a key at a running edge. */
export async function createKey(url: string, options: object): Promise<string> {
  const response = await fetch(`${url}/admin/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(options),
  });
  const body = (await response.json()) as { key?: string };
  if (body.key === undefined) throw new Error(`no key was made: ${JSON.stringify(body)}`);
  return body.key;
}
