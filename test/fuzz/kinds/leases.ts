import { requestPath } from '@tidar/shared/journal.ts';
import { type LeasePayload, sha256Hex } from '@tidar/shared/lease.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import type { Random } from '../../chaos/random.ts';
import type { FuzzCase, Kind } from '../case.ts';
import { type Expected, isRecord, judge } from '../judge.ts';
import { depthOf, isIllFormed, mutate } from '../mutate.ts';
import { ask, type RawRequest } from '../raw-http.ts';
import { type Schema, Surface } from '../surface.ts';
import type { FuzzWorld } from '../world.ts';
import { MAX_DEPTH } from './bodies.ts';
import { altered, bearer, drawBytes, JSON_BODY, utf8 } from './tools.ts';

const INVALID: Expected = { statuses: [401], codes: ['lease_invalid'] };
const EXPIRED: Expected = { statuses: [401], codes: ['lease_expired'] };

/** A request of the protocol that the real backend answers, of another id each time. */
const generateBody = (world: FuzzWorld, random: Random, changes: object = {}): string =>
  JSON.stringify({
    request_id: `req_fuzz_${Math.floor(random.next() * 1e15)}_${performance.now()}`,
    model: world.backend.model.id,
    input: { type: 'text', text: 'hello' },
    max_tokens: 2,
    sampling: { seed: '1', temperature: 0 },
    decoder: { type: 'ar' },
    ...changes,
  });

const post = (target: string, lease: string, body: string): RawRequest => ({
  method: 'POST',
  target,
  headers: [JSON_BODY, bearer(lease)],
  body: utf8(body),
});

type Misuse = (
  random: Random,
  world: FuzzWorld,
  body: string,
) => Promise<[lease: string, Expected, before?: string]>;
const changed =
  (changes: Partial<LeasePayload>, expected = INVALID): Misuse =>
  async (_, world, body) => [await world.backend.lease(body, changes), expected];

const MISUSES: Readonly<Record<string, Misuse>> = {
  'as it must be': changed({}, { statuses: [200] }),
  altered: async (random, world, body) => [altered(random, await world.backend.lease(body)), INVALID],
  'cut off': async (random, world, body) => {
    const lease = await world.backend.lease(body);
    return [lease.slice(0, random.whole(1, lease.length - 1)), INVALID];
  },
  'with more at its end': async (_, world, body) => [`${await world.backend.lease(body)}.x`, INVALID],
  'of another secret': async (_, world, body) => [
    await world.backend.lease(body, {}, 'x'.repeat(40)),
    INVALID,
  ],
  'of random bytes': async (random) => [drawBytes(random, 200).toString('base64url'), INVALID],
  'of another version': async (_, world, body) => [
    (await world.backend.lease(body)).replace(/^v\d+/, 'v99'),
    INVALID,
  ],
  'of an algorithm that is none': async () => ['eyJhbGciOiJub25lIn0.e30.', INVALID],
  replayed: async (_, world, body) => {
    const lease = await world.backend.lease(body);
    return [lease, { statuses: [409], codes: ['duplicate_attempt'] }, lease];
  },
  expired: changed({ expires_at_ms: 1 }, EXPIRED),
  'expired just now': async (_, world, body) => [
    await world.backend.lease(body, { expires_at_ms: Date.now() - 1 }),
    EXPIRED,
  ],
  'of another instance': changed({ backend: 'http://10.0.0.1:9000' }),
  'of another model': changed({ fingerprint: 'fp_another' }),
  'of another body': changed({ request_hash: '0'.repeat(64) }),
  'of another request': changed({ request_id: 'req_another' }),
  'to read': changed({ purpose: 'read' }),
  'to renew': changed({ purpose: 'renew' }),
  'of more choices': changed({ choices: 2 }),
  'of resumed tokens that are not there': changed({ resume_hash: '0'.repeat(64) }),
  'that begins later': changed({ first_tokens: [5] }),
  'that grants nothing': changed({ end_token: 0 }),
};

/** A lease is of use for what it names and nothing else. */
export const leases: Kind = {
  name: 'lease',
  weight: 7,
  draw(random) {
    const name = random.pick(Object.keys(MISUSES));
    return {
      title: `a lease ${name}`,
      target: 'backend',
      async play(world) {
        const body = generateBody(world, random);
        const [lease, expected, before] = (await MISUSES[name]?.(random, world, body)) ?? ['', INVALID];
        if (before !== undefined) await ask(world.backend.url, post('/v1/generate', before, body));
        const outcome = await ask(world.backend.url, post('/v1/generate', lease, body));
        return judge(outcome, expected, world.hidden('backend'));
      },
    };
  },
};

/** The routes of one request: what is not there, and leases that are for another. */
export const requestRoutes: Kind = {
  name: 'request',
  weight: 3,
  draw(random) {
    const purpose = random.pick(['read', 'renew'] as const);
    const way = random.pick(['unknown', 'another request', 'a wrong body', 'no lease', 'an odd id'] as const);
    return {
      title: `to ${purpose}: ${way}`,
      target: 'backend',
      play: (world) => playRequest(world, random, purpose, way),
    };
  },
};

async function playRequest(
  world: FuzzWorld,
  random: Random,
  purpose: 'read' | 'renew',
  way: 'unknown' | 'another request' | 'a wrong body' | 'no lease' | 'an odd id',
): ReturnType<FuzzCase['play']> {
  const id =
    way === 'an odd id' ? random.pick(['%', '..', "'--", '\u00e4', 'a/b', 'x'.repeat(120)]) : 'req_unknown';
  const body =
    way === 'a wrong body'
      ? random.pick(['{"from":[-1]}', '{"from":"x"}', '{"stream":1}', '{', '[]'])
      : random.pick(['', '{}', '{"stream":true}']);
  const sent = purpose === 'renew' ? '' : body === '' ? '{}' : body;
  const lease = await world.backend.leaseFor(purpose, way === 'another request' ? 'req_other' : id, sent);
  const target = `${requestPath(id)}${purpose === 'renew' ? '/lease' : ''}`;
  const outcome = await ask(world.backend.url, post(target, way === 'no lease' ? 'x' : lease, sent));
  const expected: Expected = {
    statuses: [404, ...(way === 'a wrong body' && purpose === 'read' ? [400] : [])],
  };
  const isRefused = way === 'another request' || way === 'no lease';
  return judge(outcome, isRefused ? INVALID : expected, world.hidden('backend'));
}

const jsonSchema: Schema = z.toJSONSchema(generateRequestSchema, { io: 'input', unrepresentable: 'any' });
const protocol = new Surface({});

/** Bodies of the protocol under a lease that covers them: a peer with a fault of its own. */
export const protocolBodies: Kind = {
  name: 'protocol',
  weight: 9,
  draw(random) {
    const rich = {
      ...{
        num_choices: 1,
        stop: ['x'],
        stop_token_ids: [5],
        ignore_eos: true,
        logprobs: 1,
        trace: 'stats',
        store: true,
      },
      decoder: random.pick([
        { type: 'ar' },
        { type: 'tidar', plan: 'dense', draft_length: 4, beta: 1 },
        { type: 'diffusion', block_length: 4, strategy: 'confidence', tokens_per_pass: 1 },
      ]),
      sampling: { seed: '1', temperature: 1, top_k: 5, top_p: 0.9, logit_bias: [[5, 1]], min_tokens: 0 },
      ...random.pick([
        {},
        { grammar: { type: 'regex', pattern: '[a-z ]+' } },
        { input: { type: 'tokens', token_ids: [5, 6] } },
        { input: { type: 'chat', messages: [{ role: 'user', content: 'hello' }] } },
      ]),
    };
    return {
      title: 'a body of the protocol',
      target: 'backend',
      async play(world) {
        const { text, at } = mutate(random, JSON.parse(generateBody(world, random, rich)));
        const lease = await world.backend.lease('{}', {
          ...leaseChanges(text),
          request_hash: await hashOf(text),
        });
        const outcome = await ask(world.backend.url, post('/v1/generate', lease, text));
        return judge(outcome, expectedOf(text, at), world.hidden('backend'));
      },
    };
  },
};

const hashOf = (text: string): Promise<string> => sha256Hex(new Uint8Array(utf8(text)));

/** The lease covers what the body says, as far as a lease can. */
function leaseChanges(text: string): Partial<LeasePayload> {
  const value: unknown = JSON.parse(text);
  const { num_choices: choices, request_id: id } = isRecord(value) ? value : {};
  const isCount = typeof choices === 'number' && Number.isInteger(choices) && choices >= 1 && choices <= 16;
  const isId = typeof id === 'string' && id.length >= 1 && id.length <= 128;
  const numChoices = isCount ? choices : 1;
  return {
    choices: numChoices,
    first_tokens: Array.from({ length: numChoices }, () => 0),
    request_id: isId ? id : 'unknown',
    resume_hash: null,
  };
}

function expectedOf(text: string, at: string): Expected {
  const codes = ['invalid_request', 'unknown_parameter', 'invalid_json'];
  if (depthOf(text) > MAX_DEPTH) return { statuses: [400], codes };
  const value: unknown = JSON.parse(text);
  const isWrong = isIllFormed(value) || !protocol.allows(jsonSchema, value);
  if (isWrong) return { statuses: [400], codes, at: isRecord(value) && at !== '' ? at : undefined };
  return { statuses: [200, 400, 401, 404] };
}
