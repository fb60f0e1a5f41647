import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { BackendProcess } from './backend-process.ts';
import { TEST_SECRETS } from './edge-harness.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A real backend behind a wire of its own, whose journal outlives it. */
export class Site {
  readonly proxy: TcpProxy;
  readonly #modelPath: string;
  readonly #journal: string;
  process: BackendProcess | undefined;
  readonly #port: number;
  readonly #args: string[];

  private constructor(proxy: TcpProxy, modelPath: string, journal: string, port: number, args: string[]) {
    this.proxy = proxy;
    this.#modelPath = modelPath;
    this.#journal = journal;
    this.#port = port;
    this.#args = args;
  }

  static async start(modelPath: string, journal: string, args: string[] = []): Promise<Site> {
    const port = await anyFreePort();
    const site = new Site(await TcpProxy.start(`http://127.0.0.1:${port}`), modelPath, journal, port, args);
    await site.start();
    return site;
  }

  /** The same instance once more. */
  async start(): Promise<void> {
    this.process = await BackendProcess.start({
      modelPath: this.#modelPath,
      leaseSecrets: TEST_SECRETS.LEASE_SECRETS,
      journal: this.#journal,
      port: this.#port,
      args: ['--instance', this.proxy.url, ...this.#args],
    });
  }

  async kill(): Promise<void> {
    await this.process?.stop('SIGKILL');
    this.proxy.cut();
  }

  async close(): Promise<void> {
    this.proxy.cut();
    await this.process?.stop();
    await this.proxy.close();
  }
}
