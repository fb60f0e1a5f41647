import type { Findings, Kind } from '../case.ts';
import { judge } from '../judge.ts';
import { type Answer, ask } from '../raw-http.ts';
import { ALLOWED_ORIGIN } from '../world.ts';
import { bearer, CHAT, type Header } from './tools.ts';

const ORIGINS = [
  ALLOWED_ORIGIN,
  ALLOWED_ORIGIN,
  ...[
    'https://evil.test',
    'null',
    `${ALLOWED_ORIGIN}.evil.test`,
    `${ALLOWED_ORIGIN}/`,
    `http${ALLOWED_ORIGIN.slice(5)}`,
  ],
  ...[
    `${ALLOWED_ORIGIN}:8443`,
    ALLOWED_ORIGIN.toUpperCase(),
    '*',
    '',
    'https://\u00e4.test',
    `https://${'x'.repeat(4000)}`,
  ],
];
const TARGETS = [
  CHAT,
  '/v1/models',
  '/v1/usage',
  '/openapi.json',
  '/admin/keys',
  '/internal/heartbeat',
  '/nowhere',
];

/** Requests of browsers from other places: only the configured ones may read an answer, and only of the API. */
export const cors: Kind = {
  name: 'cors',
  weight: 3,
  draw(random) {
    const origin = random.pick(ORIGINS);
    const target = random.pick(TARGETS);
    const isPreflight = random.chance(0.6);
    const asked = random.pick(['POST', 'GET', 'DELETE', 'post', '']);
    return {
      title: `${isPreflight ? 'a preflight' : 'a request'} from ${JSON.stringify(origin.slice(0, 60))} to ${target}`,
      target: 'edge',
      async play(world) {
        const headers: Header[] = [['origin', origin]];
        if (isPreflight)
          headers.push(
            ['access-control-request-method', asked],
            ['access-control-request-headers', 'authorization, content-type'],
          );
        else headers.push(bearer(world.keys[0] ?? ''));
        const outcome = await ask(world.edge.url, {
          method: isPreflight ? 'OPTIONS' : 'GET',
          target,
          headers,
        });
        const statuses = isPreflight ? [204, 403, 404, 405] : [200, 401, 404, 405];
        const findings = judge(outcome, { statuses }, world.hidden('edge'));
        const [answer] = outcome.answers;
        const isOpen = origin === ALLOWED_ORIGIN && (target.startsWith('/v1/') || target === '/openapi.json');
        return answer === undefined ? findings : withOrigin(findings, answer, isOpen, isPreflight);
      },
    };
  },
};

function withOrigin(findings: Findings, answer: Answer, isOpen: boolean, isPreflight: boolean): Findings {
  const told = answer.headers.get('access-control-allow-origin');
  const wanted = isOpen ? ALLOWED_ORIGIN : undefined;
  const problems =
    told === wanted ? [] : [`access-control-allow-origin is ${String(told)} in place of ${String(wanted)}`];
  if (isOpen && isPreflight && answer.status !== 204)
    problems.push(`a preflight is answered by ${answer.status}`);
  if (answer.headers.has('access-control-allow-credentials')) problems.push('credentials are allowed');
  return { ...findings, unclear: [...findings.unclear, ...problems] };
}
