import type { Random } from '../../chaos/random.ts';
import type { Findings, Kind } from '../case.ts';
import { type Expected, judge } from '../judge.ts';
import { exchange, headOf, latin1, type Move } from '../raw-http.ts';
import type { FuzzWorld } from '../world.ts';
import { CHAT, chatBody, drawBytes, type Header, JSON_BODY, bearer, utf8 } from './tools.ts';

const OK: Expected = { statuses: [200] };
/** What is no HTTP is told so, or its connection is closed. */
const BROKEN: Expected = { statuses: [400, 408, 411, 413, 414, 415, 431, 501, 505], isBelowRoutes: true };
/** Both are right: to read it leniently, and to refuse it. */
const EITHER: Expected = { statuses: [200, ...BROKEN.statuses, 401], isBelowRoutes: true };

interface Framed {
  moves: Move[];
  expected: Expected;
}
type Frame = (random: Random, base: Base) => Framed;

/** What a request to either server is made of. */
interface Base {
  /** With everything but what says where the body ends. */
  headers: readonly Header[];
  target: string;
  body: Buffer;
}

const head = ({ headers, target }: Base, more: readonly Header[]): Buffer =>
  headOf({ method: 'POST', target, headers: [...headers, ...more] });
const length = (body: Buffer, off = 0): Header => ['content-length', String(body.byteLength + off)];
const CHUNKED: Header = ['transfer-encoding', 'chunked'];
const chunk = (bytes: Uint8Array): Buffer =>
  Buffer.concat([latin1(`${bytes.byteLength.toString(16)}\r\n`), bytes, latin1('\r\n')]);
const LAST = latin1('0\r\n\r\n');
const broken = (...moves: Move[]): Framed => ({ moves, expected: BROKEN });
const lengths =
  (value: string): Frame =>
  (_, base) =>
    broken(head(base, [['content-length', value]]), base.body);
const codings =
  (value: string): Frame =>
  (_, base) => ({
    moves: [head(base, [['transfer-encoding', value]]), chunk(base.body), LAST, 'half-close'],
    expected: EITHER,
  });
const lines =
  (text: string): Frame =>
  () =>
    broken(latin1(text), 'half-close');

const FRAMES: Readonly<Record<string, Frame>> = {
  'a length': (_, base) => ({ moves: [head(base, [length(base.body)]), base.body], expected: OK }),
  chunks: (random, base) => {
    const at = random.whole(1, base.body.length - 1);
    const parts = [base.body.subarray(0, at), base.body.subarray(at)].map(chunk);
    return { moves: [head(base, [CHUNKED]), ...parts, LAST], expected: OK };
  },
  'chunks of a byte': (_, base) => ({
    moves: [
      head(base, [CHUNKED]),
      Buffer.concat([...[...base.body].map((byte) => chunk(Uint8Array.of(byte))), LAST]),
    ],
    expected: OK,
  }),
  'chunks with a trailer': (_, base) => ({
    moves: [head(base, [CHUNKED]), chunk(base.body), latin1('0\r\nx-late: 1\r\n\r\n')],
    expected: EITHER,
  }),
  'a chunk with an extension': (_, base) => ({
    moves: [
      head(base, [CHUNKED]),
      latin1(`${base.body.length.toString(16)};a=b\r\n`),
      base.body,
      latin1('\r\n'),
      LAST,
    ],
    expected: EITHER,
  }),
  'pieces of a few bytes': (random, base) => {
    const all = Buffer.concat([head(base, [length(base.body)]), base.body]);
    const step = random.whole(20, 60);
    const count = Math.ceil(all.length / step);
    return {
      moves: Array.from({ length: count }, (_, index) => all.subarray(index * step, (index + 1) * step)),
      expected: OK,
    };
  },
  'expect: 100-continue': (_, base) => ({
    moves: [head(base, [length(base.body), ['expect', '100-continue']]), { pauseMs: 20 }, base.body],
    expected: EITHER,
  }),
  'expect: something': (_, base) => ({
    moves: [head(base, [length(base.body), ['expect', 'magic']]), base.body],
    expected: { statuses: [...EITHER.statuses, 417], isBelowRoutes: true },
  }),
  'a length that is too short': (_, base) =>
    broken(head(base, [length(base.body, -5)]), base.body, 'half-close'),
  'a length that is too long': (_, base) =>
    broken(head(base, [length(base.body, 50)]), base.body, 'half-close'),
  'a length below zero': lengths('-5'),
  'a length that is no number': lengths('5, 6'),
  'a length with a sign': lengths('+5'),
  'a length in hexadecimal': lengths('0x10'),
  'a length above all': lengths('99999999999999999999999'),
  'a length of four terabytes': lengths('4398046511104'),
  'two lengths': (_, base) =>
    broken(head(base, [length(base.body), length(base.body, -3)]), base.body, 'half-close'),
  'a length and chunks': (_, base) => ({
    moves: [head(base, [length(base.body), CHUNKED]), chunk(base.body), LAST, 'half-close'],
    expected: EITHER,
  }),
  'no length': (_, base) => ({
    moves: [head(base, []), 'half-close'],
    expected: { ...BROKEN, statuses: [400, 401, 411] },
  }),
  'an unknown coding': codings('magic'),
  'gzip and chunks': codings('gzip, chunked'),
  'chunked and identity': codings('chunked, identity'),
  'chunked twice': codings('chunked, chunked'),
  'chunks that are none': (_, base) =>
    broken(head(base, [CHUNKED]), latin1('zz\r\n'), base.body, 'half-close'),
  'a chunk that breaks off': (_, base) =>
    broken(head(base, [CHUNKED]), latin1('ffff\r\n'), base.body, 'half-close'),
  'a chunk above all': (_, base) =>
    broken(head(base, [CHUNKED]), latin1('ffffffffffffffff\r\n'), base.body, 'half-close'),
  'chunks without an end': (_, base) => broken(head(base, [CHUNKED]), chunk(base.body), 'half-close'),
  'random bytes': (random) => broken(drawBytes(random, 200), 'half-close'),
  'a greeting of TLS': () =>
    broken(Buffer.from('16030100c8010000c40303', 'hex'), drawZeros(200), 'half-close'),
  'the preface of HTTP/2': lines('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  'HTTP/0.9': lines('GET /\r\n\r\n'),
  'HTTP/3.0': lines('GET /health HTTP/3.0\r\nhost: a\r\n\r\n'),
  'no method': lines(' /health HTTP/1.1\r\nhost: a\r\n\r\n'),
  'a method in small letters': lines('get /health HTTP/1.1\r\nhost: a\r\n\r\n'),
  'a path with a space': lines('GET /a b HTTP/1.1\r\nhost: a\r\n\r\n'),
  'a header without a colon': lines('GET /health HTTP/1.1\r\nhost: a\r\nnothing\r\n\r\n'),
  'a header without a name': lines('GET /health HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n'),
  'a space before the colon': lines('GET /health HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n'),
  'a NUL in a header': lines('GET /health HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n'),
  'a head that breaks off': lines('GET /health HTTP/1.1\r\nhos'),
  'empty lines alone': lines('\r\n\r\n\r\n\r\n'),
  'a connection that says nothing': () => broken('half-close'),
};
const drawZeros = (count: number): Buffer => Buffer.alloc(count);

/** Where a body ends, and what HTTP is at all; of both servers. */
export const framing: Kind = {
  name: 'framing',
  weight: 9,
  draw(random) {
    const name = random.pick(Object.keys(FRAMES));
    const target = random.pick(['edge', 'edge', 'backend'] as const);
    const frameSeed = random.next();
    return {
      title: name,
      target,
      async play(world) {
        const base = await baseFor(world, target, frameSeed);
        const frame = FRAMES[name]?.(random, base);
        if (frame === undefined) throw new Error(`there is no frame ${name}`);
        const outcome = await exchange(world.urlOf(target), frame.moves);
        return judge(outcome, frame.expected, world.hidden(target));
      },
    };
  },
};

async function baseFor(world: FuzzWorld, target: 'edge' | 'backend', seed: number): Promise<Base> {
  const common: Header[] = [['host', 'fuzz.test'], ['connection', 'close'], JSON_BODY];
  if (target === 'edge') {
    return { headers: [...common, bearer(world.keys[0] ?? '')], target: CHAT, body: utf8(chatBody()) };
  }
  const requestId = `req_${Math.floor(seed * 1e15)}_${performance.now()}`;
  const body = JSON.stringify({
    request_id: requestId,
    model: world.backend.model.id,
    input: { type: 'text', text: 'hello' },
    max_tokens: 2,
    sampling: { seed: '1', temperature: 0 },
    decoder: { type: 'ar' },
  });
  return {
    headers: [...common, bearer(await world.backend.lease(body))],
    target: '/v1/generate',
    body: utf8(body),
  };
}

/** One connection, two requests: what comes after a body is never taken for another request's. */
export const pipelines: Kind = {
  name: 'pipeline',
  weight: 2,
  draw(random) {
    const target = random.pick(['edge', 'backend'] as const);
    const isSmuggled = random.chance(0.5);
    return {
      title: isSmuggled ? 'a request in the body of another' : 'two requests at once',
      target,
      async play(world): Promise<Findings> {
        const inner = latin1('GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n');
        const first: Header[] = [['host', 'a'], ...(isSmuggled ? [length(inner)] : [])];
        const headers = headOf({ method: isSmuggled ? 'POST' : 'GET', target: '/health', headers: first });
        const last = latin1('GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
        const outcome = await exchange(world.urlOf(target), [Buffer.concat([headers, inner, last])], {
          numAnswers: 3,
          limitMs: 20_000,
        });
        const found = outcome.answers.map(({ status }) => status).join();
        // The body is the first request's; without a length it is a request.
        const right = isSmuggled ? ['405,200', '405'] : ['200,404,200'];
        return {
          unclear: right.includes(found) ? [] : [`statuses ${found} in place of ${right.join(' or ')}`],
          crashed: [],
        };
      },
    };
  },
};
