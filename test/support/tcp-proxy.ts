import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  client: Socket;
  target: Socket;
  /** Bytes that came from the target since `holdAfter`. */
  numBytes: number;
  /** What is held back. */
  held: Buffer[];
}

/** A wire between two processes that can be held at any byte, or cut. */
export class TcpProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #limit = Infinity;
  #onHeld: () => void = () => undefined;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** On a free port of its own. */
  static async start(target: string): Promise<TcpProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const proxy = new TcpProxy(server, `http://127.0.0.1:${port}`);
    server.on('connection', (client) => proxy.#join(client, new URL(target)));
    return proxy;
  }

  /** From now on every connection passes so many bytes of answers, and then holds all; resolves at the first that does. */
  holdAfter(numBytes: number): Promise<void> {
    for (const pair of this.#pairs) pair.numBytes = 0;
    this.#limit = numBytes;
    return new Promise((resolve) => (this.#onHeld = resolve));
  }

  /** Passes on what was held, and all that comes. */
  release(): void {
    this.#limit = Infinity;
    for (const { client, held } of this.#pairs) for (const chunk of held.splice(0)) client.write(chunk);
  }

  /** Cuts every connection; new ones are let through. */
  cut(): void {
    this.#limit = Infinity;
    for (const { client, target } of this.#pairs) {
      client.destroy();
      target.destroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, { hostname, port }: URL): void {
    const target = connect(Number(port), hostname);
    const pair: Pair = { client, target, numBytes: 0, held: [] };
    this.#pairs.add(pair);
    client.on('data', (chunk: Buffer) => void (target.write(chunk) || client.pause()));
    target.on('drain', () => client.resume());
    target.on('data', (chunk: Buffer) => this.#pass(pair, chunk));
    client.on('drain', () => target.resume());
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) socket.on('error', end).on('close', end);
  }

  #pass(pair: Pair, chunk: Buffer): void {
    const room = Math.max(0, Math.min(chunk.length, this.#limit - pair.numBytes));
    pair.numBytes += chunk.length;
    if (room > 0 && !pair.client.write(chunk.subarray(0, room))) pair.target.pause();
    if (room === chunk.length) return;
    pair.held.push(chunk.subarray(room));
    this.#onHeld();
  }
}
