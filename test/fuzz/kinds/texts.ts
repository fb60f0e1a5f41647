import { gzipSync } from 'node:zlib';
import type { Random } from '../../chaos/random.ts';
import type { Kind } from '../case.ts';
import { type Expected, judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import { bearer, CHAT, chatBody, drawBytes, type Header, JSON_BODY, utf8 } from './tools.ts';

type Body = [body: Buffer, expected: Expected, headers?: readonly Header[]];
type Spoil = (random: Random, text: string) => Body;

const OK: Expected = { statuses: [200] };
const NO_JSON: Expected = { statuses: [400], codes: ['invalid_json'] };
const INVALID: Expected = { statuses: [400], codes: ['invalid_request', 'unknown_parameter'] };
const NO_MEDIA: Expected = { statuses: [415], codes: ['unsupported_media_type'] };
const TOO_LARGE: Expected = { statuses: [413], codes: ['payload_too_large'] };
/** Who goes on sending may miss the answer that came meanwhile. */
const FAR_TOO_LARGE: Expected = { ...TOO_LARGE, isBelowRoutes: true };

const cut = (random: Random, text: string): string => text.slice(0, random.whole(1, text.length - 1));
const inserted = (random: Random, text: string, piece: Uint8Array): Buffer => {
  const at = random.whole(0, text.length);
  return Buffer.concat([utf8(text.slice(0, at)), piece, utf8(text.slice(at))]);
};
/** By the reference: Node's own decoder and parser, and the one rule that the API adds. */
function byReference(bytes: Buffer): Expected {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes),
    );
    return JSON.stringify(value) === chatBody() ? OK : { statuses: [200, 400, 404] };
  } catch {
    return NO_JSON;
  }
}
const typed = (value: string, expected: Expected): Body => [
  utf8(chatBody()),
  expected,
  [['content-type', value]],
];

/** Ways to spoil the text of a body, or how it is announced. */
const SPOILS: Readonly<Record<string, Spoil>> = {
  'a body that breaks off': (random, text) => [utf8(cut(random, text)), NO_JSON],
  'bytes in between': (random, text) => {
    const bytes = inserted(random, text, drawBytes(random, 4));
    return [bytes, byReference(bytes)];
  },
  'a bit flipped': (random, text) => {
    const bytes = utf8(text);
    const at = random.whole(0, bytes.length - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.whole(0, 7));
    return [bytes, byReference(bytes)];
  },
  'random bytes': (random) => [drawBytes(random, 400), NO_JSON],
  'no body': () => [Buffer.alloc(0), NO_JSON],
  'only white space': () => [utf8(' \n\t '), NO_JSON],
  'a comment': (_, text) => [utf8(`// hello\n${text}`), NO_JSON],
  'a comma too many': (_, text) => [utf8(text.replace(/\}$/, ',}')), NO_JSON],
  'single quotes': (_, text) => [utf8(text.replaceAll('"', "'")), NO_JSON],
  'names without quotes': (_, text) => [utf8(text.replace('"model"', 'model')), NO_JSON],
  NaN: (_, text) => [utf8(text.replace('"max_tokens":2', '"max_tokens":NaN')), NO_JSON],
  Infinity: (_, text) => [utf8(text.replace('"max_tokens":2', '"temperature":-Infinity')), NO_JSON],
  'a hexadecimal number': (_, text) => [utf8(text.replace('"max_tokens":2', '"max_tokens":0x2')), NO_JSON],
  'a number with leading zeros': (_, text) => [
    utf8(text.replace('"max_tokens":2', '"max_tokens":007')),
    NO_JSON,
  ],
  'a number too large': (_, text) => [utf8(text.replace('"max_tokens":2', '"temperature":1e999')), INVALID],
  'two bodies': (_, text) => [utf8(text + text), NO_JSON],
  'lines of JSON': (_, text) => [utf8(`${text}\n${text}\n`), NO_JSON],
  'a byte order mark': (_, text) => [utf8(`\uFEFF${text}`), OK],
  'UTF-16': (_, text) => [Buffer.from(`\uFEFF${text}`, 'utf16le'), NO_JSON],
  'UTF-16 without a mark': (_, text) => [Buffer.from(text, 'utf16le'), NO_JSON],
  'UTF-8 that is too long': (_, text) => [inText(text, [0xc0, 0xaf]), NO_JSON],
  'UTF-8 of half a pair': (_, text) => [inText(text, [0xed, 0xa0, 0x80]), NO_JSON],
  'UTF-8 that breaks off': (_, text) => [inText(text, [0xf0, 0x9f, 0x92]), NO_JSON],
  'Latin-1': (_, text) => [inText(text, [0xe4]), NO_JSON],
  'a NUL in a text': (_, text) => [inText(text, [0]), NO_JSON],
  'NULs after the body': (_, text) => [Buffer.concat([utf8(text), Buffer.alloc(8)]), NO_JSON],
  'a list': (_, text) => [utf8(`[${text}]`), INVALID],
  'a text': (_, text) => [utf8(JSON.stringify(text)), INVALID],
  null: () => [utf8('null'), INVALID],
  'a number': () => [utf8('5'), INVALID],
  'a field twice': (_, text) => [
    utf8(text.replace('"max_tokens":2', '"max_tokens":2,"max_tokens":2')),
    INVALID,
  ],
  'a field twice, once in escapes': (_, text) => [
    utf8(text.replace('"max_tokens":2', String.raw`"max_tokens":1,"max\u005ftokens":2`)),
    INVALID,
  ],
  'a million lists': () => [utf8('['.repeat(1_000_000)), NO_JSON],
  'a hundred thousand lists, closed': () => [utf8('['.repeat(100_000) + ']'.repeat(100_000)), NO_JSON],
  'more than the limit': () => [utf8(`"${'x'.repeat(1 << 20)}"`), TOO_LARGE],
  'much more than the limit': () => [Buffer.alloc(8 << 20, 0x20), FAR_TOO_LARGE],
  gzip: (_, text) => [gzipSync(text), NO_MEDIA, [JSON_BODY, ['content-encoding', 'gzip']]],
  'gzip that is none': (_, text) => [utf8(text), NO_MEDIA, [JSON_BODY, ['content-encoding', 'gzip']]],
  'an encoding that is none': (_, text) => [
    utf8(text),
    NO_MEDIA,
    [JSON_BODY, ['content-encoding', 'foo, bar']],
  ],
  'a bomb of gzip': () => [
    gzipSync(Buffer.alloc(32 << 20)),
    NO_MEDIA,
    [JSON_BODY, ['content-encoding', 'gzip']],
  ],
  'no encoding': (_, text) => [utf8(text), OK, [JSON_BODY, ['content-encoding', 'identity']]],
  'no content type': (_, text) => [utf8(text), NO_MEDIA, []],
  'a form': () => typed('application/x-www-form-urlencoded', NO_MEDIA),
  text: () => typed('text/plain', NO_MEDIA),
  'a type like JSON': () => typed('application/jsonp', NO_MEDIA),
  'a type that ends in JSON': () => typed('application/problem+json', NO_MEDIA),
  'two types': () => typed('application/json, text/plain', NO_MEDIA),
  'a type in capitals': () => typed('Application/JSON; Charset=UTF-8', OK),
  'another character set': () => typed('application/json; charset=utf-16', NO_MEDIA),
  'Latin-1 by its type': () => typed('application/json;charset=iso-8859-1', NO_MEDIA),
  'a type of many parts': () => typed('multipart/form-data; boundary=x', NO_MEDIA),
};

const inText = (text: string, bytes: readonly number[]): Buffer => {
  const at = text.indexOf('hello');
  return Buffer.concat([utf8(text.slice(0, at)), Buffer.from(bytes), utf8(text.slice(at))]);
};

/** The text of a body and its announcement. */
export const texts: Kind = {
  name: 'text',
  weight: 14,
  draw(random) {
    const name = random.pick(Object.keys(SPOILS));
    const [body, expected, headers = [JSON_BODY]] = SPOILS[name]?.(random, chatBody()) ?? [
      Buffer.alloc(0),
      OK,
    ];
    return {
      title: name,
      target: 'edge',
      async play(world) {
        const all = [...headers, bearer(world.keys[0] ?? '')];
        const outcome = await ask(world.edge.url, { method: 'POST', target: CHAT, headers: all, body });
        return judge(outcome, expected, world.hidden('edge'));
      },
    };
  },
};
