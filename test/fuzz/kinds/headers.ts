import type { Random } from '../../chaos/random.ts';
import type { Kind } from '../case.ts';
import { type Expected, judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import { bearer, CHAT, chatBody, type Header, JSON_BODY, utf8 } from './tools.ts';

type Odd = (random: Random, key: string) => { headers: Header[]; expected: Expected };

const OK: Expected = { statuses: [200] };
const TOO_MUCH: Expected = { statuses: [400, 413, 431], isBelowRoutes: true };
const INVALID: Expected = { statuses: [400], codes: ['invalid_request'] };
const NO_HTTP: Expected = { statuses: [200, 400], isBelowRoutes: true };
const NOT_THERE: Expected = { statuses: [404], codes: ['not_found'] };

const with_ =
  (expected: Expected, ...headers: Header[]): Odd =>
  (_, key) => ({ headers: [bearer(key), ...headers], expected });
const idempotency = (value: string, expected: Expected): Odd => with_(expected, ['idempotency-key', value]);
const many = (count: number, size: number, expected: Expected): Odd =>
  with_(expected, ...Array.from({ length: count }, (_, index): Header => [`x-h${index}`, 'v'.repeat(size)]));

const ODD: Readonly<Record<string, Odd>> = {
  'a header of 4 KiB': with_(OK, ['x-long', 'v'.repeat(4096)]),
  'a header of 300 KiB': with_(TOO_MUCH, ['x-long', 'v'.repeat(300_000)]),
  'a header of 2 MiB': with_(TOO_MUCH, ['x-long', 'v'.repeat(2 << 20)]),
  'a name of 300 KiB': with_(TOO_MUCH, [`x-${'n'.repeat(300_000)}`, 'v']),
  '50 headers': many(50, 8, OK),
  '20,000 headers': many(20_000, 20, TOO_MUCH),
  'a key of 300 KiB': () => ({
    headers: [bearer('x'.repeat(300_000))],
    expected: { statuses: [401, ...TOO_MUCH.statuses], isBelowRoutes: true },
  }),
  'a control character': with_(NO_HTTP, ['x-odd', 'a\u0001b']),
  'a NUL': with_({ statuses: [400], isBelowRoutes: true }, ['x-odd', 'a\u0000b']),
  'bytes above ASCII': with_(OK, ['x-odd', '\u00e4\u00ff']),
  'an empty value': with_(OK, ['x-odd', '']),
  'a line that goes on in the next': with_(NO_HTTP, ['x-odd', 'a\r\n b']),
  'a cookie': with_(OK, ['cookie', 'session=1; admin=true']),
  'forwarded for': with_(
    OK,
    ['x-forwarded-for', '127.0.0.1'],
    ['cf-connecting-ip', '::1'],
    ['x-real-ip', 'x'],
  ),
  'another method by a header': with_(OK, ['x-http-method-override', 'DELETE']),
  'another host': with_(OK, ['x-forwarded-host', 'evil.test'], ['forwarded', 'host=evil.test']),
  'an accept that takes nothing': with_(OK, ['accept', 'image/png;q=0']),
  'a range': with_(OK, ['range', 'bytes=0-1']),
  'an upgrade': with_(
    { statuses: [200, 400, 426], isBelowRoutes: true },
    ['upgrade', 'h2c'],
    ['http2-settings', 'x'],
  ),
  'a trace of W3C that is none': with_(OK, ['traceparent', 'zz-zz'], ['tracestate', '='.repeat(600)]),
  'a request id of its own': with_(OK, ['x-request-id', "'; DROP TABLE requests; --"]),
  'an empty idempotency key': idempotency('', INVALID),
  'an idempotency key of 255': idempotency('k'.repeat(255), { statuses: [200, 409] }),
  'an idempotency key of 256': idempotency('k'.repeat(256), INVALID),
  'an idempotency key of spaces': idempotency('   ', INVALID),
  'an idempotency key above ASCII': idempotency('\u00e4\u00f6', INVALID),
  'an idempotency key twice': with_(
    { statuses: [200, 400, 409] },
    ['idempotency-key', 'one'],
    ['idempotency-key', 'two'],
  ),
  'a Last-Event-ID without a key': with_(NOT_THERE, ['last-event-id', '5']),
  'an odd Last-Event-ID without a key': with_(NOT_THERE, ['last-event-id', '\u00ff'.repeat(300)]),
};

/** Headers that are too long, too many, or odd. */
export const headers: Kind = {
  name: 'header',
  weight: 6,
  draw(random) {
    const name = random.pick(Object.keys(ODD));
    return {
      title: name,
      target: 'edge',
      async play(world) {
        const { headers: odd, expected } = ODD[name]?.(random, world.keys[1] ?? '') ?? {
          headers: [],
          expected: OK,
        };
        const outcome = await ask(world.edge.url, {
          method: 'POST',
          target: CHAT,
          headers: [JSON_BODY, ...odd],
          body: utf8(chatBody()),
        });
        return judge(outcome, expected, world.hidden('edge'));
      },
    };
  },
};

const PLACES = [
  '',
  '0',
  '-1',
  '0,0',
  '1,1',
  '99999999999999999999',
  'x',
  '0-0',
  '\u00ff',
  '1e3',
  ' ',
  '0'.repeat(300),
  '[DONE]',
  '%00',
];

/** The same request once more: with another body, and from odd places of its answer. */
export const repetitions: Kind = {
  name: 'repetition',
  weight: 3,
  draw(random) {
    const place = random.pick(PLACES);
    const way = random.pick(['place', 'place', 'body', 'path'] as const);
    const keyIndex = random.whole(0, 5);
    const nonce = `k${random.next()}`;
    return {
      title:
        way === 'place'
          ? `the answer again after ${JSON.stringify(place.slice(0, 30))}`
          : `an idempotency key with another ${way}`,
      target: 'edge',
      async play(world) {
        const once: Header[] = [
          JSON_BODY,
          bearer(world.keys[keyIndex] ?? ''),
          ['idempotency-key', `${nonce}${performance.now()}`],
        ];
        const body = utf8(chatBody({ stream: true }));
        const first = await ask(world.edge.url, { method: 'POST', target: CHAT, headers: once, body });
        if (first.answers[0]?.status !== 200) return judge(first, OK, world.hidden('edge'));
        if (way === 'place') {
          const again: Header[] = [...once, ['last-event-id', place]];
          const outcome = await ask(world.edge.url, { method: 'POST', target: CHAT, headers: again, body });
          // An empty id is none; the id of an event that was sent goes on there.
          return judge(outcome, { statuses: [200, 400] }, world.hidden('edge'));
        }
        const target = way === 'path' ? '/v1/completions' : CHAT;
        const other =
          way === 'path'
            ? utf8(JSON.stringify({ model: 'tiny-chat', prompt: 'hello', max_tokens: 2 }))
            : utf8(chatBody({ stream: true, seed: 5 }));
        const outcome = await ask(world.edge.url, { method: 'POST', target, headers: once, body: other });
        return judge(outcome, { statuses: [422], codes: ['idempotency_mismatch'] }, world.hidden('edge'));
      },
    };
  },
};
