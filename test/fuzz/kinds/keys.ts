import type { Random } from '../../chaos/random.ts';
import { ADMIN_TOKEN } from '../../support/edge-harness.ts';
import type { Kind } from '../case.ts';
import { judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import { targetOf, altered, bearer, chatBody, type Header, JSON_BODY, utf8 } from './tools.ts';

const BASE32 = [...'0123456789abcdefghjkmnpqrstvwxyz'];
const part = (random: Random, length: number): string =>
  Array.from({ length }, () => random.pick(BASE32)).join('');

/** Keys that are none, made of one that is. */
const FORGERIES: Readonly<Record<string, (random: Random, key: string) => Header[]>> = {
  'no key': () => [],
  'an empty header': () => [['authorization', '']],
  'no scheme': (_, key) => [['authorization', key]],
  'another scheme': (_, key) => [['authorization', `Basic ${Buffer.from(`user:${key}`).toString('base64')}`]],
  'no key after the scheme': () => [['authorization', 'Bearer ']],
  'a made-up key': (random) => [bearer(`tdr_${part(random, 16)}_${part(random, 32)}_${part(random, 16)}`)],
  'a made-up admin token': (random) => [
    bearer(`tda_${part(random, 16)}_${part(random, 32)}_${part(random, 16)}`),
  ],
  'one character changed': (random, key) => [bearer(altered(random, key))],
  'a key that breaks off': (random, key) => [bearer(key.slice(0, random.whole(1, key.length - 1)))],
  'a key with more at its end': (random, key) => [bearer(key + part(random, random.whole(1, 8)))],
  'a key in capitals': (_, key) => [bearer(key.toUpperCase())],
  'a key in quotes': (_, key) => [bearer(`"${key}"`)],
  'two keys in one header': (_, key) => [['authorization', `Bearer ${key}, Bearer ${key}`]],
  'the header twice': (_, key) => [bearer(key), bearer(key)],
  'the header twice, once right': (random, key) => [bearer(part(random, 20)), bearer(key)],
  'a key of OpenAI': (random) => [bearer(`sk-proj-${part(random, 48)}`)],
  'a JSON Web Token': (random) => [bearer(`eyJhbGciOiJub25lIn0.${part(random, 40)}.${part(random, 20)}`)],
  'another prefix': (_, key) => [bearer(key.startsWith('tdr') ? key.replace('tdr', 'tda') : `tda_${key}`)],
  'a very long key': (random) => [bearer(part(random, 4000))],
  'bytes above ASCII': () => [bearer('\u00e4\u00f6\u00fc\u00ff')],
  'a tab before the key': (_, key) => [['authorization', `Bearer\t${key}x`]],
  'a key in another header': (_, key) => [
    ['api-key', key],
    ['x-api-key', key],
  ],
};

/** Who does not hold the key of a route gets 401, whatever else is wrong with the request. */
export const keys: Kind = {
  name: 'key',
  weight: 9,
  draw(random, surface) {
    const operation = random.pick(surface.operations.filter(({ needs }) => needs !== 'nothing'));
    const name = random.pick([...Object.keys(FORGERIES), 'the key of the other API']);
    return {
      title: `${operation.method} ${operation.path} with ${name}`,
      target: 'edge',
      async play(world) {
        const [right, other] =
          operation.needs === 'admin'
            ? [ADMIN_TOKEN, world.keys[0] ?? '']
            : [world.keys[0] ?? '', ADMIN_TOKEN];
        const headers = FORGERIES[name]?.(random, right) ?? [bearer(other)];
        const body = operation.body === undefined ? undefined : utf8(chatBody());
        const request = { method: operation.method, target: targetOf(operation.path, 'x'), body };
        const outcome = await ask(world.edge.url, {
          ...request,
          headers: body === undefined ? headers : [...headers, JSON_BODY],
        });
        const codes = ['missing_api_key', 'invalid_api_key'];
        return judge(outcome, { statuses: [401], codes }, world.hidden('edge'));
      },
    };
  },
};
