import type { Random } from '../../chaos/random.ts';
import type { FuzzCase, Kind } from '../case.ts';
import { judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import type { Surface } from '../surface.ts';
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
    '/assets/',
    '/assets/..%2findex.js',
    '/assets/%2e%2e%2fworker.json',
    '/console/x',
    '/index.js.map',
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
  draw: (random, surface) => random.pick([pathCase, methodCase, idCase, idCase])(random, surface),
};

type Draw = (random: Random, surface: Surface) => FuzzCase;

const pathCase: Draw = (random) => {
  const target = random.pick(NOWHERE);
  return {
    title: `GET ${target.slice(0, 60)}`,
    target: 'edge',
    async play(world) {
      const headers = [bearer(world.keys[0] ?? '')];
      const outcome = await ask(world.edge.url, { method: 'GET', target, headers });
      return judge(outcome, { statuses: [400, 401, 404, 405], isBelowRoutes: true }, world.hidden('edge'));
    },
  };
};

const methodCase: Draw = (random, surface) => {
  const operation = random.pick(surface.operations);
  const method = random.pick(METHODS);
  const taken = surface.operations.filter(({ path }) => path === operation.path);
  const isTaken = method === 'HEAD' || taken.some((one) => one.method === method);
  // A method that HTTP does not know is answered below the routes.
  const wrong = method === 'PROPFIND' ? [405, 501] : [405];
  const hasNoBody = method === 'HEAD';
  const statuses = isTaken ? [200, 201, 400, 403, 404, 405, 415] : wrong;
  return {
    title: `${method} ${operation.path}`,
    target: 'edge',
    async play(world) {
      const request = {
        method,
        target: targetOf(operation.path, 'x'),
        headers: credentials(world, operation),
      };
      const outcome = await ask(world.edge.url, request, { isHead: hasNoBody });
      const expected = { statuses, hasNoBody, isBelowRoutes: method === 'PROPFIND' };
      return judge(outcome, expected, world.hidden('edge', operation.needs));
    },
  };
};

const idCase: Draw = (random, surface) => {
  const hasId = surface.operations.filter(({ path, needs }) => path.includes('{') && needs !== 'nothing');
  const operation = random.pick(hasId);
  const id = random.pick(IDS);
  const body = operation.body === undefined ? undefined : utf8('{}');
  return {
    title: `${operation.method} ${operation.path} of ${id.slice(0, 30)}`,
    target: 'edge',
    async play(world) {
      const headers = [...credentials(world, operation), ...(body === undefined ? [] : [JSON_BODY])];
      const target = operation.path.replaceAll(/\{\w+\}/g, () => id);
      const outcome = await ask(world.edge.url, { method: operation.method, target, headers, body });
      return judge(
        outcome,
        { statuses: [400, 404, 405], isBelowRoutes: true },
        world.hidden('edge', operation.needs),
      );
    },
  };
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
    const name = way === 'unknown' ? random.pick(['foo', 'Limit', '__proto__', '%00']) : parameter.name;
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
        if (way === 'value')
          return judge(outcome, { statuses: [200, 400, 404, 409] }, world.hidden('edge', operation.needs));
        const at = name.includes('%') ? undefined : name;
        return judge(outcome, { statuses: [400], at }, world.hidden('edge', operation.needs));
      },
    };
  },
};
