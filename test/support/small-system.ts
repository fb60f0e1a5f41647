import OpenAI from 'openai';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { BackendProcess } from './backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from './edge-harness.ts';
import { RawClient } from './openai-http.ts';

/** An edge before one backend, and a key whose requests are not limited. */
export class SmallSystem {
  readonly backend: BackendProcess;
  readonly edge: EdgeHarness;
  readonly key: string;

  private constructor(backend: BackendProcess, edge: EdgeHarness, key: string) {
    this.backend = backend;
    this.edge = edge;
    this.key = key;
  }

  /** Serves the demo model, or the folder that is named. */
  static async start(modelPath = DEMO_MODEL): Promise<SmallSystem> {
    const backend = await BackendProcess.start({ modelPath, leaseSecrets: TEST_SECRETS.LEASE_SECRETS });
    const edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
    return new SmallSystem(backend, edge, await edge.createKey({ requests_per_minute: 1_000_000 }));
  }

  /** Where clients of OpenAI's begin. */
  get baseURL(): string {
    return `${this.edge.url}/v1`;
  }

  rawClient(): RawClient {
    return new RawClient(this.edge.url, this.key);
  }

  /** The official client; it tries nothing again. */
  openai(): OpenAI {
    return new OpenAI({ baseURL: this.baseURL, apiKey: this.key, maxRetries: 0 });
  }

  async stop(): Promise<void> {
    await this.edge.close();
    await this.backend.stop();
  }
}
