import type { Random } from '../../chaos/random.ts';
import type { Findings, Kind } from '../case.ts';
import { type Expected, judge } from '../judge.ts';
import { exchange, headOf, latin1, type Move } from '../raw-http.ts';
import { bearer, CHAT, chatBody, type Header, JSON_BODY, utf8 } from './tools.ts';

const COMMON: Header[] = [['host', 'fuzz.test'], ['connection', 'close'], JSON_BODY];
/** A time limit ends it, in a word or by closing. */
const ENDED: Expected = { statuses: [400, 408], isBelowRoutes: true };
const TIMED_OUT: Expected = { statuses: [408], codes: ['request_timeout'] };
/** Below the routes of the edge a head may take 15 s. */
const LIMIT_MS = 40_000;

interface Slow {
  moves: Move[];
  /** Undefined: the client is gone, and only what it leaves behind counts. */
  expected: Expected | undefined;
}

const drops = (text: Buffer, size: number, pauseMs: number): Move[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index): Move[] => [
    text.subarray(index * size, (index + 1) * size),
    { pauseMs },
  ]).flat();

const WAYS: Readonly<Record<string, (random: Random, headers: readonly Header[], target: string) => Slow>> = {
  'a head that never ends': (_, headers, target) => ({
    moves: [headOf({ method: 'POST', target, headers }).subarray(0, -2), { pauseMs: LIMIT_MS }],
    expected: ENDED,
  }),
  'a head by drops': (_, headers, target) => {
    const head = headOf({ method: 'POST', target, headers }).subarray(0, -2);
    const more = Array.from({ length: 200 }, (_, index) => `x-${index}: 1\r\n`).join('');
    return { moves: [head, ...drops(latin1(more), 8, 300)], expected: ENDED };
  },
  'nothing at all': () => ({ moves: [{ pauseMs: LIMIT_MS }], expected: ENDED }),
  'a body that never comes': (_, headers, target) => ({
    moves: [
      headOf({ method: 'POST', target, headers: [...headers, ['content-length', '500']] }),
      { pauseMs: LIMIT_MS },
    ],
    expected: TIMED_OUT,
  }),
  'a body by drops': (_, headers, target) => ({
    moves: [
      headOf({ method: 'POST', target, headers: [...headers, ['content-length', '5000']] }),
      ...drops(utf8(chatBody().padEnd(300)), 3, 200),
    ],
    expected: TIMED_OUT,
  }),
  'chunks by drops': (_, headers, target) => ({
    moves: [
      headOf({ method: 'POST', target, headers: [...headers, ['transfer-encoding', 'chunked']] }),
      ...Array.from({ length: 60 }, (): Move[] => [latin1('1\r\n \r\n'), { pauseMs: 150 }]).flat(),
    ],
    expected: TIMED_OUT,
  }),
  'a body and then a reset': (random, headers, target) => ({
    moves: [
      headOf({ method: 'POST', target, headers: [...headers, ['content-length', '500']] }),
      utf8(chatBody()),
      { pauseMs: random.whole(0, 30) },
      'reset',
    ],
    expected: undefined,
  }),
  'a head and then a reset': (_, headers, target) => ({
    moves: [headOf({ method: 'POST', target, headers }).subarray(0, -4), 'reset'],
    expected: undefined,
  }),
};

/** Slow and half-open clients: a time limit ends them, and what they held is free again. */
export const slow: Kind = {
  name: 'slow',
  weight: 1.2,
  draw(random) {
    const name = random.pick(Object.keys(WAYS));
    const target = random.pick(['edge', 'edge', 'backend'] as const);
    return {
      title: `${name}, to the ${target}`,
      target,
      isSlow: true,
      async play(world) {
        const isEdge = target === 'edge';
        const token = isEdge ? (world.keys[2] ?? '') : await world.backend.lease('{}');
        const way = WAYS[name]?.(random, [...COMMON, bearer(token)], isEdge ? CHAT : '/v1/generate');
        if (way === undefined) throw new Error(`there is no way ${name}`);
        const outcome = await exchange(world.urlOf(target), way.moves, { limitMs: LIMIT_MS });
        return way.expected === undefined ? gone() : judge(outcome, way.expected, world.hidden(target));
      },
    };
  },
};

const gone = (): Findings => ({ unclear: [], crashed: [] });

const LEAVINGS: Readonly<Record<string, (random: Random) => Move[]>> = {
  'a reset': (random) => [{ pauseMs: random.whole(0, 60) }, 'reset'],
  'a reset at once': () => ['reset'],
  'a half-close': () => ['half-close'],
  'a half-close and a reset': (random) => ['half-close', { pauseMs: random.whole(0, 40) }, 'reset'],
};

/** Clients that leave in the middle of an answer; their bills must be settled in the end. */
export const leaving: Kind = {
  name: 'leaving',
  weight: 2.5,
  draw(random) {
    const name = random.pick(Object.keys(LEAVINGS));
    const isStream = random.chance(0.7);
    const numTokens = random.pick([1, 40, 200]);
    const keyIndex = random.whole(0, 5);
    return {
      title: `${name} during ${isStream ? 'a stream' : 'an answer'} of ${numTokens} tokens`,
      target: 'edge',
      async play(world) {
        const body = utf8(chatBody({ stream: isStream, max_tokens: numTokens, tidar: { ignore_eos: true } }));
        const headers: Header[] = [
          ...COMMON,
          bearer(world.keys[keyIndex] ?? ''),
          ['content-length', String(body.length)],
        ];
        const moves: Move[] = [
          Buffer.concat([headOf({ method: 'POST', target: CHAT, headers }), body]),
          ...(LEAVINGS[name]?.(random) ?? []),
        ];
        const outcome = await exchange(world.edge.url, moves);
        // Who closes one half only may still be answered.
        const [answer] = outcome.answers;
        return answer === undefined ? gone() : judge(outcome, { statuses: [200] }, world.hidden('edge'));
      },
    };
  },
};
