import { encodeGenerateEvent, type GenerateEvent } from '@tidar/shared/protocol.ts';
import { json, type Lie, type Stage } from './liar.ts';

/** What a client is to get: the whole text, or one clear error. */
export type Outcome = 'whole' | 'error';
export interface NamedLie {
  lie: Lie;
  wanted: Outcome;
  /** It waits for a time limit. */
  isSlow?: boolean;
}

export const LIE_TEXT = 'abc';
const MEBIBYTE = 1 << 20;

const usage = { prompt_tokens: 3, completion_tokens: 3, cached_tokens: 0, num_forward_passes: 3 };

/** The events of an honest answer: three tokens of one choice. */
function honest({ request, lease }: Stage): GenerateEvent[] {
  const { request_id, model, sampling } = request;
  const common = { prompt_token_ids: [1, 2, 3], num_prompt_tokens: 3, num_cached_tokens: 0 };
  return [
    { type: 'start', request_id, ...common, seed: sampling.seed, fingerprint: lease.fingerprint, model },
    ...[...LIE_TEXT].map((text, index) => ({
      type: 'step' as const,
      choice: 0,
      token_ids: [index + 4],
      text,
    })),
    { type: 'finish', choice: 0, finish_reason: 'stop' },
    { type: 'end', usage },
  ];
}

function encode(events: readonly object[]): string {
  let numTokens = 0;
  return (events as GenerateEvent[])
    .map((event) => {
      if (event.type === 'step' && Array.isArray(event.token_ids)) numTokens += event.token_ids.length;
      return encodeGenerateEvent(event, [numTokens]);
    })
    .join('');
}

const SSE = { 'content-type': 'text/event-stream' };

async function send({ response }: Stage, parts: readonly (string | Uint8Array)[], end = true): Promise<void> {
  response.writeHead(200, SSE);
  for (const part of parts) {
    if (response.destroyed) return;
    if (!response.write(part)) await once(response);
  }
  if (end) response.end();
}

const once = (response: Stage['response']): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });

/** The honest events, changed. */
const events =
  (change: (all: GenerateEvent[]) => object[]): Lie =>
  (stage) =>
    send(stage, [encode(change(honest(stage)))]);
/** The honest bytes, changed. */
const text =
  (change: (all: string) => string | Uint8Array): Lie =>
  (stage) =>
    send(stage, [change(encode(honest(stage)))]);
/** The honest events, with fields of one type changed. */
const with_ = (type: GenerateEvent['type'], fields: object): Lie =>
  events((all) => all.map((event) => (event.type === type ? { ...event, ...fields } : event)));
const answer =
  (status: number, headers: Record<string, string>, body: string): Lie =>
  ({ response }) => {
    response.writeHead(status, headers);
    response.end(body);
  };
const error = (fields: object): string =>
  JSON.stringify({ error: { code: 'overloaded', message: 'Busy.', retryable: true, ...fields } });

/** Pieces without an end, for as long as anybody takes them. */
const endless =
  (first: (stage: Stage) => string, piece: string): Lie =>
  async (stage) => {
    await send(stage, [first(stage)], false);
    while (!stage.response.destroyed) if (!stage.response.write(piece)) await once(stage.response);
  };
const startOf = (stage: Stage): string => encode(honest(stage).slice(0, 1));
const broken = (bytes: readonly number[], place: string): Lie =>
  text((all) => {
    const at = all.indexOf(place) + place.length;
    return Buffer.concat([Buffer.from(all.slice(0, at)), Buffer.from(bytes), Buffer.from(all.slice(at))]);
  });

const whole = (lie: Lie): NamedLie => ({ lie, wanted: 'whole' });
const wrong = (lie: Lie): NamedLie => ({ lie, wanted: 'error' });
const late = (lie: Lie): NamedLie => ({ lie, wanted: 'error', isSlow: true });

/** Streams that are unusual and right. */
const RIGHT: Readonly<Record<string, NamedLie>> = {
  'nothing but the truth': whole(text((all) => all)),
  'comments between': whole(text((all) => `: hello\n\n${all.replaceAll('\n\n', '\n\n: ping\n\n')}`)),
  'lines end in CRLF': whole(text((all) => all.replaceAll('\n', '\r\n'))),
  'lines end in CR': whole(text((all) => all.replaceAll('\n', '\r'))),
  'a byte at a time': whole((stage) =>
    send(
      stage,
      [...Buffer.from(encode(honest(stage)))].map((byte) => Uint8Array.of(byte)),
    ),
  ),
  'a byte order mark': whole(text((all) => `\uFEFF${all}`)),
  'unknown fields': whole(text((all) => all.replaceAll('event:', 'retry: 1\nfoo: bar\nevent:'))),
  'unknown fields of JSON': whole(with_('step', { extra: { deep: [1] } })),
  'ids of its own': whole(text((all) => all.replaceAll(/^id: .*$/gm, 'id: 99,99'))),
  'names of its own': whole(text((all) => all.replaceAll(/^event: .*$/gm, 'event: foo'))),
  'no ids and no names': whole(text((all) => all.replaceAll(/^(id|event): .*\n/gm, ''))),
  'data of several lines': whole(text((all) => all.replaceAll('"choice":0,', '"choice":\ndata: 0,'))),
};

/** Answers that are no stream. */
const NO_STREAM: Readonly<Record<string, NamedLie>> = {
  'a page of HTML': late(answer(200, { 'content-type': 'text/html' }, '<html>Welcome to nginx!</html>')),
  'a page of HTML, 500': late(
    answer(500, { 'content-type': 'text/html' }, '<h1>Error at /srv/app/main.ts:1:1</h1>'),
  ),
  'JSON in place of a stream': late(answer(200, { 'content-type': 'application/json' }, '{"ok":true}')),
  'nothing at all': late(answer(200, SSE, '')),
  'no content': late(answer(204, {}, '')),
  'a redirect': late(answer(302, { location: 'http://127.0.0.1:1/secret' }, '')),
  'not modified': late(answer(304, {}, '')),
  'an error without a code': late(answer(400, { 'content-type': 'application/json' }, '{"error":"no"}')),
  'an error of an unknown code': late(
    answer(400, { 'content-type': 'application/json' }, error({ code: 'weird' })),
  ),
  'an error of the edge': wrong(
    answer(401, { 'content-type': 'application/json' }, error({ code: 'key_revoked' })),
  ),
  'an error that is a limit': wrong(
    answer(429, { 'content-type': 'application/json' }, error({ code: 'insufficient_quota' })),
  ),
  'an error of 32 MiB': late(
    answer(500, { 'content-type': 'application/json' }, error({ message: 'x'.repeat(32 * MEBIBYTE) })),
  ),
  'an error with a long message': wrong(
    answer(
      400,
      { 'content-type': 'application/json' },
      error({ code: 'invalid_request', message: `It needs ${'x'.repeat(5000)}.` }),
    ),
  ),
};

/** Streams of events that are none of the protocol. */
const NO_PROTOCOL: Readonly<Record<string, NamedLie>> = {
  'data that is no JSON': wrong(text((all) => all.replace('"choice":0', '"choice":'))),
  'data that breaks off': wrong(text((all) => all.replace(/("type":"step".*)\}\n\n/, '$1\n\n'))),
  'an event of no type': wrong(with_('step', { type: 'stop' })),
  'a step before the start': wrong(events(([start, step, ...rest]) => [step ?? {}, start ?? {}, ...rest])),
  'two starts': wrong(events(([start, ...rest]) => [start ?? {}, start ?? {}, ...rest])),
  'a step of no choice': wrong(with_('step', { choice: 7 })),
  'a step after the finish': wrong(
    events((all) => [...all.slice(0, -1), ...all.slice(1, 2), ...all.slice(-1)]),
  ),
  'two finishes': wrong(events((all) => [...all.slice(0, -1), ...all.slice(-2)])),
  'the end before the finish': wrong(events((all) => all.filter(({ type }) => type !== 'finish'))),
  'an end of more tokens': wrong(with_('end', { usage: { ...usage, completion_tokens: 30 } })),
  'numbers below zero': wrong(with_('end', { usage: { ...usage, completion_tokens: -3 } })),
  'a token id that is none': wrong(with_('step', { token_ids: [2 ** 53] })),
  'a text that is a number': wrong(with_('step', { text: 5 })),
  'a finish of an unknown reason': wrong(with_('finish', { finish_reason: 'magic' })),
  'log-probabilities of other tokens': wrong(with_('step', { logprobs: [] })),
  'the start of another request': wrong(with_('start', { request_id: 'req_another' })),
  'the start of another fingerprint': wrong(with_('start', { fingerprint: 'fp_another' })),
  'more prompt tokens than there are': wrong(with_('start', { num_prompt_tokens: 9_000_000_000_000_000 })),
  'more cached tokens than there are': wrong(with_('start', { num_cached_tokens: 4_000 })),
  'more tokens than were granted': wrong(
    events(([start, , ...rest]) => [
      start ?? {},
      { type: 'step', choice: 0, token_ids: Array.from({ length: 4000 }, () => 5), text: 'abc' },
      ...rest,
    ]),
  ),
  'an error that is for the edge': wrong(
    events((all) => [
      ...all.slice(0, 2),
      { type: 'error', error: { code: 'key_revoked', message: 'This key was revoked.', retryable: false } },
    ]),
  ),
  'an error without words': wrong(events((all) => [...all.slice(0, 2), { type: 'error', error: {} }])),
  'UTF-8 that is broken in a text': wrong(broken([0xff, 0xfe], '"text":"')),
  'UTF-8 that is cut in a text': wrong(broken([0xe2, 0x82], '"text":"')),
  'UTF-16': wrong(text((all) => Buffer.from(all, 'utf16le'))),
  'a stream of steps and no end': wrong((stage) => send(stage, [encode(honest(stage).slice(0, 3))])),
};

/** Streams that are too much, or too little. */
const BOUNDLESS: Readonly<Record<string, NamedLie>> = {
  'a line without an end': wrong(endless(startOf, 'x'.repeat(65_536))),
  'a field without an end': wrong(endless((stage) => `${startOf(stage)}data: `, 'x'.repeat(65_536))),
  'an event without an end': wrong(endless(startOf, `data: ${'x'.repeat(1000)}\n`.repeat(64))),
  'a text of 17 MiB': wrong(with_('step', { text: 'x'.repeat(17 * MEBIBYTE) })),
  'empty steps without an end': wrong(
    endless(startOf, encode([{ type: 'step', choice: 0, token_ids: [], text: '' }]).repeat(64)),
  ),
  'comments without an end': late(endless(startOf, ': ping\n\n'.repeat(64))),
  'a head and then silence': late((stage) => send(stage, [], false)),
  'a start and then silence': late((stage) => send(stage, [startOf(stage)], false)),
  silence: late(() => undefined),
  'a cut before the head': late(({ response }) => void response.destroy()),
  'a cut after the start': late(async (stage) => {
    await send(stage, [startOf(stage)], false);
    stage.response.destroy();
  }),
};

/** A stream that breaks off, and a journal that lies of it to the ledger. */
const journal = (say: Parameters<Stage['journal']>[0]): NamedLie =>
  late(async (stage) => {
    stage.journal(say);
    await send(stage, [startOf(stage)], false);
    stage.response.destroy();
  });
const changed = (changes: object): NamedLie =>
  journal((response, truth) => json(response, 200, { ...truth, ...changes }));
const JOURNALS: Readonly<Record<string, NamedLie>> = {
  'a journal of HTML': journal((response) => void response.end('<html>')),
  'a journal that is broken': journal((response) => void response.writeHead(500).end('{')),
  'a journal of 40 MiB': changed({ more: 'x'.repeat(40 * MEBIBYTE) }),
  'a journal that is elsewhere': journal((response) => void response.writeHead(302, { location: '/' }).end()),
  'a journal of another request': changed({ request_id: 'req_another' }),
  'a journal of more choices': changed({ token_counts: [1, 2, 3] }),
  'a journal of tokens below zero': changed({ token_counts: [-5] }),
  'a journal of more tokens than there can be': changed({
    state: 'ended',
    token_counts: [9_000_000_000_000],
  }),
  'a journal of a prompt that cannot be': changed({
    usage: { ...usage, prompt_tokens: 9_000_000_000_000_000 },
  }),
  'a journal of nothing': changed({ usage: undefined }),
};

export const LIES: Readonly<Record<string, NamedLie>> = {
  ...RIGHT,
  ...NO_STREAM,
  ...NO_PROTOCOL,
  ...BOUNDLESS,
  ...JOURNALS,
};
export const liesByName: ReadonlyMap<string, Lie> = new Map(
  Object.entries(LIES).map(([name, { lie }]) => [name, lie]),
);
