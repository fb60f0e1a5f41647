import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'up' | 'down';
/** What a late duplicate of a connection repeats, at most. */
const KEPT_BYTES = 64 * 1024;
const KEPT_CONNECTIONS = 8;
const DUPLICATE_MS = 400;

interface Cut {
  direction: Direction;
  numBytes: number;
  onCut: () => void;
}

interface Pair {
  client: Socket;
  target: Socket;
  /** What came from the client. */
  said: Buffer[];
  numSaid: number;
}

/** A wire between two processes: it can be slow, be cut at any byte, be dead for a while, and repeat what it heard. */
export class Wire {
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #target: string;
  #cut: Cut | undefined;
  #delayMs: () => number = () => 0;
  #isDead = false;
  #heard: Buffer[] = [];

  private constructor(server: Server, target: string) {
    const { port } = server.address() as AddressInfo;
    this.#server = server;
    this.#target = target;
    this.url = `http://127.0.0.1:${port}`;
    server.on('connection', (client) => this.#join(client));
  }

  static async start(target: string): Promise<Wire> {
    const server = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Wire(server, target);
  }

  /** Where new connections lead from now on. */
  leadTo(target: string): void {
    this.#target = target;
  }

  /** Every piece takes so long from now on; their order stays. */
  slowDown(delayMs: () => number): void {
    this.#delayMs = delayMs;
  }

  /** Cuts the connection that passes the last of so many more bytes, right after it. Resolves when it has. */
  cutAfter(direction: Direction, numBytes: number): Promise<void> {
    return new Promise((onCut) => (this.#cut = { direction, numBytes, onCut }));
  }

  cutAll(): void {
    for (const pair of this.#pairs) destroy(pair);
  }

  /** Cuts all, and refuses every new one until `heal`. */
  die(): void {
    this.#isDead = true;
    this.cutAll();
  }

  revive(): void {
    this.#isDead = false;
  }

  /** Everything passes at once again. */
  heal(): void {
    this.#isDead = false;
    this.#cut = undefined;
    this.#delayMs = () => 0;
  }

  /** Says once more what one of the last connections said, byte for byte; nobody reads the answer. */
  async duplicate(which: number): Promise<number> {
    const bytes = this.#heard[which % Math.max(1, this.#heard.length)];
    if (bytes === undefined) return 0;
    const { hostname, port } = new URL(this.#target);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).resume();
    socket.write(bytes);
    await new Promise((resolve) => setTimeout(resolve, DUPLICATE_MS));
    socket.destroy();
    return bytes.length;
  }

  forgetHeard(): void {
    this.#heard = [];
  }

  async close(): Promise<void> {
    this.die();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    if (this.#isDead) return void client.destroy();
    const { hostname, port } = new URL(this.#target);
    const target = connect(Number(port), hostname);
    const pair: Pair = { client, target, said: [], numSaid: 0 };
    this.#pairs.add(pair);
    for (const socket of [client, target]) {
      socket.setNoDelay(true);
      socket.on('error', () => destroy(pair)).on('close', () => this.#leave(pair));
    }
    this.#pass(pair, 'up', client, target);
    this.#pass(pair, 'down', target, client);
  }

  #leave(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    destroy(pair);
    if (pair.numSaid > 0) this.#heard = [Buffer.concat(pair.said), ...this.#heard].slice(0, KEPT_CONNECTIONS);
  }

  #pass(pair: Pair, direction: Direction, from: Socket, to: Socket): void {
    let before = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      if (direction === 'up') keep(pair, chunk);
      const delayMs = this.#delayMs();
      from.pause();
      before = before
        .then(() => (delayMs > 0 ? new Promise<void>((resolve) => setTimeout(resolve, delayMs)) : undefined))
        .then(() => this.#write(pair, direction, to, chunk))
        .then(() => void from.resume());
    });
    from.on('end', () => void before.then(() => to.end()));
  }

  async #write(pair: Pair, direction: Direction, to: Socket, chunk: Buffer): Promise<void> {
    if (to.destroyed) return;
    const cut = this.#cut?.direction === direction ? this.#cut : undefined;
    if (cut !== undefined && chunk.length >= cut.numBytes) {
      this.#cut = undefined;
      to.write(chunk.subarray(0, cut.numBytes), () => destroy(pair));
      cut.onCut();
      return;
    }
    if (cut !== undefined) cut.numBytes -= chunk.length;
    if (!to.write(chunk)) await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => undefined);
  }
}

function keep(pair: Pair, chunk: Buffer): void {
  if (pair.numSaid + chunk.length > KEPT_BYTES) return;
  pair.said.push(chunk);
  pair.numSaid += chunk.length;
}

function destroy({ client, target }: Pair): void {
  client.destroy();
  target.destroy();
}
