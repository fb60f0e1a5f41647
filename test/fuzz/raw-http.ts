import { connect, type Socket } from 'node:net';

/** What a client does on its connection, one thing after the other. */
export type Move =
  | Uint8Array
  | { pauseMs: number }
  /** Says that it sends no more, and goes on listening. */
  | 'half-close'
  /** Ends the connection at once, by a reset. */
  | 'reset';

export interface Answer {
  status: number;
  /** Names in lower case; of a repeated one the values joined. */
  headers: ReadonlyMap<string, string>;
  body: Buffer;
}

/** How an exchange ended: by answers, or by a connection that was closed or silent before there was a whole one. */
export interface Outcome {
  answers: Answer[];
  end: 'answered' | 'closed' | 'silent';
  /** What came of an answer that is not whole. */
  rest: Buffer;
  milliseconds: number;
}

export interface ExchangeOptions {
  /** So many answers are waited for. */
  numAnswers?: number;
  limitMs?: number;
  /** The answer of HEAD tells the length of a body that does not come. */
  isHead?: boolean;
}

export interface RawRequest {
  method: string;
  target: string;
  /** In their order, as they are: nothing is added but `connection: close`. */
  headers: readonly (readonly [name: string, value: string])[];
  body?: Uint8Array | undefined;
}

const LIMIT_MS = 45_000;
export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A request's head; header values are bytes, a character each. */
export function headOf({ method, target, headers }: Omit<RawRequest, 'body'>): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return latin1(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`);
}

/** A whole request with the length of its body. */
export function requestBytes({ body, headers, ...line }: RawRequest): Buffer {
  const length = body === undefined ? [] : [['content-length', String(body.byteLength)] as const];
  const all = [['host', 'fuzz.test'] as const, ['connection', 'close'] as const, ...headers, ...length];
  return Buffer.concat([headOf({ ...line, headers: all }), body ?? Buffer.alloc(0)]);
}

/** Plays the moves on a connection of its own, and reads what is answered meanwhile. */
export async function exchange(
  url: string,
  moves: readonly Move[],
  { numAnswers = 1, limitMs = LIMIT_MS, isHead = false }: ExchangeOptions = {},
): Promise<Outcome> {
  const startedAt = performance.now();
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const reader = new AnswerReader(numAnswers, isHead);
  const { promise: ended, resolve } = Promise.withResolvers<Outcome['end']>();
  const timer = setTimeout(() => resolve('silent'), limitMs);
  socket.on('data', (chunk: Buffer) => void (reader.push(chunk) && resolve('answered')));
  socket.on('end', () => resolve(reader.end() ? 'answered' : 'closed'));
  socket.on('error', () => resolve(reader.end() ? 'answered' : 'closed'));
  socket.on('close', () => resolve(reader.end() ? 'answered' : 'closed'));
  void play(socket, moves);
  const end = await ended;
  clearTimeout(timer);
  socket.destroy();
  const { answers, rest } = reader;
  return { answers, rest, end, milliseconds: performance.now() - startedAt };
}

/** One request with one answer. */
export const ask = (url: string, request: RawRequest, options?: ExchangeOptions): Promise<Outcome> =>
  exchange(url, [requestBytes(request)], options);

async function play(socket: Socket, moves: readonly Move[]): Promise<void> {
  for (const move of moves) {
    if (socket.destroyed) return;
    if (move === 'half-close') socket.end();
    else if (move === 'reset') socket.resetAndDestroy();
    else if ('pauseMs' in move) await new Promise((resolve) => setTimeout(resolve, move.pauseMs));
    else await new Promise<void>((resolve) => socket.write(move, () => resolve()));
  }
}

/** Takes answers of HTTP/1.1 out of bytes; it is strict, so that a server that breaks the format is seen. */
class AnswerReader {
  readonly answers: Answer[] = [];
  readonly #numAnswers: number;
  readonly #isHead: boolean;
  #chunks: Buffer[] = [];

  constructor(numAnswers: number, isHead: boolean) {
    this.#numAnswers = numAnswers;
    this.#isHead = isHead;
  }

  get rest(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Whether all answers are there. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.#take(false);
  }

  /** The same once nothing more comes: an answer without a length is whole then. */
  end(): boolean {
    return this.#take(true);
  }

  #take(isEnd: boolean): boolean {
    let bytes = this.rest;
    for (;;) {
      const found =
        this.answers.length < this.#numAnswers ? readAnswer(bytes, isEnd, this.#isHead) : undefined;
      if (found === undefined) break;
      // 100 Continue and its kin announce an answer.
      if (found.answer.status >= 200) this.answers.push(found.answer);
      bytes = bytes.subarray(found.numBytes);
    }
    this.#chunks = [bytes];
    return this.answers.length >= this.#numAnswers;
  }
}

function readAnswer(
  bytes: Buffer,
  isEnd: boolean,
  isHead: boolean,
): { answer: Answer; numBytes: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})( |$)/.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) return undefined;
  const headers = headersOf(lines);
  const from = headEnd + 4;
  const body = isHead ? NO_BODY : bodyOf(bytes.subarray(from), status, headers, isEnd);
  return body && { answer: { status, headers, body: body.content }, numBytes: from + body.numBytes };
}

function headersOf(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

interface Body {
  content: Buffer;
  numBytes: number;
}
const NO_BODY: Body = { content: Buffer.alloc(0), numBytes: 0 };

function bodyOf(
  bytes: Buffer,
  status: number,
  headers: ReadonlyMap<string, string>,
  isEnd: boolean,
): Body | undefined {
  if (status < 200 || status === 204 || status === 304) return NO_BODY;
  if (headers.get('transfer-encoding') === 'chunked') return chunkedBody(bytes);
  const length = headers.get('content-length');
  if (length === undefined) return isEnd ? { content: bytes, numBytes: bytes.length } : undefined;
  const numBytes = Number(length);
  return bytes.length < numBytes ? undefined : { content: bytes.subarray(0, numBytes), numBytes };
}

function chunkedBody(bytes: Buffer): Body | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    const from = lineEnd + 2;
    if (Number.isNaN(size) || bytes.length < from + size + 2) return undefined;
    parts.push(bytes.subarray(from, from + size));
    at = from + size + 2;
    if (size === 0) return { content: Buffer.concat(parts), numBytes: at };
  }
}
