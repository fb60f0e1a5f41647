import type { Random } from '../../chaos/random.ts';
import type { FuzzCase, Kind } from '../case.ts';
import { type Expected, isRecord, judge } from '../judge.ts';
import { depthOf, isIllFormed, mutate, type Mutation } from '../mutate.ts';
import { ask } from '../raw-http.ts';
import { drawValid } from '../sample.ts';
import type { Operation, Schema, Surface } from '../surface.ts';
import { credentials, JSON_BODY, targetOf, utf8 } from './tools.ts';

/** As the docs say. */
export const MAX_DEPTH = 128;
export const MAX_BODY_BYTES = 1 << 20;
const DONE = [200, 201];
/** What a valid body may still meet: parameters that contradict each other, a model or a key that is not there. */
const ANSWERED = [...DONE, 400, 404, 409, 422];
const BAD_BODY = ['invalid_request', 'unknown_parameter', 'invalid_json'];

/** A valid body of any route, with one field changed, added or taken away. */
export const bodies: Kind = {
  name: 'body',
  weight: 36,
  draw(random, surface) {
    const operation = random.pick(surface.withBody);
    const valid = drawValid(random, surface, operation.body);
    if (valid === undefined)
      throw new Error(`no valid body was found for ${operation.method} ${operation.path}`);
    const mutation = random.chance(0.1) ? asIs(valid) : mutate(random, valid);
    return caseOf(random, surface, operation, mutation);
  },
};

const asIs = (body: unknown): Mutation => ({ text: JSON.stringify(body), at: '', what: 'nothing changed' });

function caseOf(
  random: Random,
  surface: Surface,
  operation: Operation & { body: Schema },
  mutation: Mutation,
): FuzzCase {
  const id = random.pick(['0'.repeat(16), 'req_nothing', 'x']);
  const keyIndex = random.whole(0, 9);
  return {
    title: `${operation.method} ${operation.path}, ${mutation.what}`,
    target: 'edge',
    async play(world) {
      const outcome = await ask(world.edge.url, {
        method: operation.method,
        target: targetOf(operation.path, id),
        headers: [JSON_BODY, ...credentials(world, operation, keyIndex)],
        body: utf8(mutation.text),
      });
      return judge(outcome, expectedOf(surface, operation, mutation), world.hidden('edge', operation.needs));
    },
  };
}

/** By the document's schema and two rules beside it, and not by the code that is tested. */
function expectedOf(
  surface: Surface,
  { body, path }: { body: Schema; path: string },
  { text, at }: Mutation,
): Expected {
  const codes = BAD_BODY;
  if (!path.includes('import') && Buffer.byteLength(text) > MAX_BODY_BYTES)
    return { statuses: [413], codes: ['payload_too_large'] };
  if (depthOf(text) > MAX_DEPTH) return { statuses: [400], codes };
  const value: unknown = JSON.parse(text);
  const isWrong = isIllFormed(value) || !surface.allows(body, value);
  if (!isWrong) return { statuses: ANSWERED };
  // A body that is no object has no field at fault.
  return { statuses: [400], codes, at: isRecord(value) && at !== '' ? at : undefined };
}
