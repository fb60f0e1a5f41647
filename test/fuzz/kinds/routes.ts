import type { Kind } from '../case.ts';
import { judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import { bearer, credentials, JSON_BODY, targetOf, utf8 } from './tools.ts';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'OPTIONS', 'HEAD', 'PROPFIND'] as const;
/** Paths where nothing is. */
const NOWHERE = [
  ...[
    '/v1',
    '/v1/',
    '/v1/chat',
    '/v1/embeddings',
    '/v1/audio/speech',
    '/v2/models',
    '/admin',
    '/admin/',
    '/.env',
  ],
  ...['/v1/chat/completions/', '/v1//chat/completions', '/V1/CHAT/COMPLETIONS', '/v1/chat/completions%00'],
  ...[
    '/../../etc/passwd',
    '/v1/../../admin/keys/..%2f',
    '/%2e%2e/%2e%2e/x',
    '/v1/%',
    '/v1/%zz',
    '/v1/%c0%af',
  ],
  ...[
    '/wp-login.php',
    '/v1/chat/completions;x=1',
    '/internal/heartbeat/x',
    '/v1/\u00ff',
    `/${'x'.repeat(3000)}`,
  ],
  ...[
    "/v1/'%22%3Cscript%3E",
    '/v1/usage/requests',
    '/internal',
    '/cdn-cgi/trace',
    '/__proto__',
    '/v1/constructor',
  ],
];
const IDS = [
  'x',
  '0'.repeat(16),
  '%',
  '%00',
  '%zz',
  '..',
  '%2e%2e%2f',
  "'%20OR%201=1--",
  '\u00ff',
  '%f0%9f',
  'a'.repeat(2000),
];

/** Paths that are not there, methods that a path does not take, ids that nothing has. */
export const routes: Kind = {
  name: 'route',
  weight: 8,
  draw(random, surface) {
    const way = random.pick(['path', 'method', 'id', 'id'] as const);
    const operation = random.pick(surface.operations);
    const hasId = surface.operations.filter(({ path, needs }) => path.includes('{') && needs !== 'nothing');
    const withId = random.pick(hasId);
    const id = random.pick(IDS);
    const method = random.pick(METHODS);
    const taken = surface.operations.filter(({ path }) => path === operation.path).map((one) => one.method);
    const nowhere = random.pick(NOWHERE);
    if (way === 'path') {
      return {
        title: `GET ${nowhere.slice(0, 60)}`,
        target: 'edge',
        async play(world) {
          const headers = [bearer(world.keys[0] ?? '')];
          const outcome = await ask(world.edge.url, { method: 'GET', target: nowhere, headers });
          const statuses = [400, 401, 404, 405];
          return judge(outcome, { statuses, isBelowRoutes: true }, world.hidden('edge'));
        },
      };
    }
    if (way === 'method') {
      return {
        title: `${method} ${operation.path}`,
        target: 'edge',
        async play(world) {
          const target = targetOf(operation.path, 'x');
          const headers = credentials(world, operation);
          const outcome = await ask(
            world.edge.url,
            { method, target, headers },
            { isHead: method === 'HEAD' },
          );
          const isTaken = taken.some((one) => one === method) || method === 'HEAD';
          if (isTaken)
            return judge(
              outcome,
              { statuses: [200, 201, 400, 403, 404, 405, 415], isBelowRoutes: true },
              world.hidden('edge'),
            );
          // Methods that HTTP does not know are answered below the routes.
          const statuses = method === 'PROPFIND' ? [405, 501] : [405];
          return judge(outcome, { statuses, isBelowRoutes: method === 'PROPFIND' }, world.hidden('edge'));
        },
      };
    }
    return {
      title: `${withId.method} ${withId.path} of ${id.slice(0, 30)}`,
      target: 'edge',
      async play(world) {
        const headers = [...credentials(world, withId), ...(withId.body === undefined ? [] : [JSON_BODY])];
        const target = withId.path.replaceAll(/\{\w+\}/g, () => id);
        const body = withId.body === undefined ? undefined : utf8('{}');
        const outcome = await ask(world.edge.url, { method: withId.method, target, headers, body });
        return judge(outcome, { statuses: [400, 404, 405], isBelowRoutes: true }, world.hidden('edge'));
      },
    };
  },
};

const VALUES = [
  '',
  '0',
  '-1',
  '1.5',
  '1e3',
  'NaN',
  '99999999999999999999',
  'x',
  '%00',
  '%zz',
  '%ff',
  '2026-02-31',
  'x'.repeat(3000),
  '__proto__',
  '1%202',
  '+1',
  '0x10',
  '\u0661',
];

/** Query strings: a parameter with a wrong value, twice, or one that is not there. */
export const queries: Kind = {
  name: 'query',
  weight: 5,
  draw(random, surface) {
    const operation = random.pick(
      surface.operations.filter(({ method, queries: all }) => method === 'GET' && all.length > 0),
    );
    const parameter = random.pick(operation.queries);
    const value = random.pick(VALUES);
    const way = random.pick(['value', 'value', 'unknown', 'twice'] as const);
    const name = way === 'unknown' ? random.pick(['foo', 'Limit', '__proto__', '%00', '']) : parameter.name;
    const query = way === 'twice' ? `${name}=1&${name}=2` : `${name}=${value}`;
    return {
      title: `GET ${operation.path}?${query.slice(0, 60)}`,
      target: 'edge',
      async play(world) {
        const target = `${targetOf(operation.path, '0'.repeat(16))}?${query}`;
        const outcome = await ask(world.edge.url, {
          method: 'GET',
          target,
          headers: credentials(world, operation),
        });
        if (way === 'value') return judge(outcome, { statuses: [200, 400, 404, 409] }, world.hidden('edge'));
        const at = name.includes('%') || name === '' ? undefined : name;
        return judge(outcome, { statuses: [400], at }, world.hidden('edge'));
      },
    };
  },
};
