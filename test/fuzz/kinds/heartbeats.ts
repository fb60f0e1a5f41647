import { type Heartbeat, signHeartbeat } from '@tidar/shared/heartbeat.ts';
import { hmac, toBase64Url } from '@tidar/shared/lease.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import type { Random } from '../../chaos/random.ts';
import { TEST_SECRETS } from '../../support/edge-harness.ts';
import type { Kind } from '../case.ts';
import { type Expected, judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import type { FuzzWorld } from '../world.ts';
import { altered, bearer, type Header, utf8 } from './tools.ts';

const SECRET = TEST_SECRETS.LEASE_SECRETS;
const FORBIDDEN: Expected = { statuses: [403], codes: ['forbidden'] };
const ACCEPTED: Expected = { statuses: [204] };
const OLD: Expected = { statuses: [409], codes: ['conflict'] };

/** Of an instance that serves nothing, so that nobody is sent there. */
const heartbeat = (random: Random, changes: object = {}): Heartbeat => ({
  address: `http://127.0.0.1:1/${Math.floor(random.next() * 1e9)}`,
  protocol_version: PROTOCOL_VERSION,
  models: [],
  load: { running: 0, queued: 0, max_concurrent: 1 },
  draining: true,
  sent_at_ms: Date.now(),
  ...changes,
});

/** Any JSON, signed as a heartbeat is. */
async function signed(payload: unknown, domain = 'tidar heartbeat\nhb1.', version = 'hb1'): Promise<string> {
  const text = toBase64Url(utf8(typeof payload === 'string' ? payload : JSON.stringify(payload)));
  const mac = await hmac(new Uint8Array(utf8(`${domain}${text}`)), SECRET);
  return `${version}.${text}.${toBase64Url(mac)}`;
}

type Beat = (random: Random, world: FuzzWorld) => Promise<[Header[], Expected, before?: Header[]]>;
const beat = (token: string): Header[] => [bearer(token)];
const changed =
  (changes: object): Beat =>
  async (random) => [beat(await signed({ ...heartbeat(random), ...changes })), FORBIDDEN];

const BEATS: Readonly<Record<string, Beat>> = {
  'as it must be': async (random) => [beat(await signHeartbeat(heartbeat(random), SECRET)), ACCEPTED],
  none: async () => [[], FORBIDDEN],
  'of another secret': async (random) => [
    beat(await signHeartbeat(heartbeat(random), 'x'.repeat(40))),
    FORBIDDEN,
  ],
  altered: async (random) => [
    beat(altered(random, await signHeartbeat(heartbeat(random), SECRET))),
    FORBIDDEN,
  ],
  'cut off': async (random) => {
    const token = await signHeartbeat(heartbeat(random), SECRET);
    return [beat(token.slice(0, random.whole(1, token.length - 1))), FORBIDDEN];
  },
  replayed: async (random) => {
    const headers = beat(await signHeartbeat(heartbeat(random), SECRET));
    return [headers, OLD, headers];
  },
  overtaken: async (random) => {
    const [newer, sent] = [heartbeat(random), Date.now()];
    const older = { ...newer, sent_at_ms: sent - 500 };
    return [beat(await signHeartbeat(older, SECRET)), OLD, beat(await signHeartbeat(newer, SECRET))];
  },
  old: changed({ sent_at_ms: Date.now() - 3_600_000 }),
  'of tomorrow': changed({ sent_at_ms: Date.now() + 86_400_000 }),
  'of no time': changed({ sent_at_ms: 1e300 }),
  'of no address': changed({ address: 'javascript:alert(1)' }),
  'of a file': changed({ address: 'file:///etc/passwd' }),
  'of models that are none': changed({ models: [{ id: '' }] }),
  'of a load below zero': changed({ load: { running: -1, queued: 0, max_concurrent: 1 } }),
  'without a load': changed({ load: undefined }),
  'that is a list': async () => [beat(await signed([])), FORBIDDEN],
  'that is no JSON': async () => [beat(await signed('{"address":')), FORBIDDEN],
  'nested deep': async () => [beat(await signed(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)), FORBIDDEN],
  'of a megabyte': async (random) => [
    beat(await signed({ ...heartbeat(random), more: 'x'.repeat(1 << 20) })),
    { statuses: [403, 400, 431], isBelowRoutes: true },
  ],
  'signed as a lease is': async (random) => [beat(await signed(heartbeat(random), 'hb1.')), FORBIDDEN],
  'of another version': async (random) => [
    beat(await signed(heartbeat(random), 'tidar heartbeat\nhb2.', 'hb2')),
    FORBIDDEN,
  ],
  'that is a lease': async (_, world) => [beat(await world.backend.lease('{}')), FORBIDDEN],
};

/** What says that a backend lives: only what one of the secrets signed just now, and once. */
export const heartbeats: Kind = {
  name: 'heartbeat',
  weight: 4,
  draw(random) {
    const name = random.pick(Object.keys(BEATS));
    return {
      title: `a heartbeat ${name}`,
      target: 'edge',
      async play(world) {
        const [headers, expected, before] = (await BEATS[name]?.(random, world)) ?? [[], FORBIDDEN];
        const request = { method: 'POST', target: '/internal/heartbeat' };
        if (before !== undefined) await ask(world.edge.url, { ...request, headers: before });
        const outcome = await ask(world.edge.url, { ...request, headers, body: utf8('{}') });
        return judge(outcome, expected, world.hidden('edge'));
      },
    };
  },
};
