import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../chaos/random.ts';
import { judge, judgeMessage } from './judge.ts';
import { lieCase } from './kinds/lying.ts';
import { LIES } from './lies.ts';
import { depthOf, mutate } from './mutate.ts';
import type { Answer, Outcome } from './raw-http.ts';
import { drawCase, KINDS, runFuzz } from './run.ts';
import { drawValid } from './sample.ts';
import { FuzzWorld } from './world.ts';

const NUM_CASES = 250;
const SEED = 'short';
const LIMIT_MS = 300_000;

let world: FuzzWorld;
beforeAll(async () => {
  world = await FuzzWorld.start();
}, LIMIT_MS);
afterAll(() => world.close());

describe('the system under bad input', () => {
  it(
    `answers ${NUM_CASES} cases clearly, lives on and leaves nothing open`,
    async () => {
      const lines: string[] = [];
      const print = (line: string): void => void lines.push(line);
      const { signal } = new AbortController();
      const options = { seed: SEED, firstCase: 0, numCases: NUM_CASES, print, signal, hasSlow: false };
      const report = await runFuzz(options, world);
      expect(lines).toEqual([]);
      expect(report.problems).toEqual([]);
      expect(report).toMatchObject({ numUnclear: 0, numCrashed: 0 });
      expect(report.byKind.size).toBeGreaterThan(KINDS.length - 3);
    },
    LIMIT_MS,
  );

  it(
    'gives the whole text or one clear error, whatever a backend sends',
    async () => {
      const names = Object.keys(LIES).filter((name) => LIES[name]?.isSlow !== true);
      const found = await Promise.all(
        names.map(async (name, index) => [name, await lieCase(name, index % 2 === 0, index).play(world)]),
      );
      expect(
        found.filter(([, findings]) => JSON.stringify(findings) !== '{"unclear":[],"crashed":[]}'),
      ).toEqual([]);
    },
    LIMIT_MS,
  );
});

describe('a case', () => {
  it('follows from its seed and its number alone, and every kind is drawn', () => {
    const titles = (seed: string): string[] =>
      Array.from({ length: 400 }, (_, index) => drawCase(seed, index, world.surface)).map(
        ({ kind, title }) => `${kind} ${title}`,
      );
    expect(titles('a')).toEqual(titles('a'));
    expect(titles('a')).not.toEqual(titles('b'));
    expect(new Set(titles('a').map((title) => title.split(' ')[0])).size).toBe(KINDS.length);
  });

  it('is drawn for every route of the document that takes a body, from one that the document allows', () => {
    const { withBody } = world.surface;
    expect(withBody.map(({ path }) => path)).toContain('/v1/chat/completions');
    for (const { path, method, body } of withBody) {
      const valid = drawValid(new Random(`${method} ${path}`), world.surface, body);
      expect(world.surface.allows(body, valid), path).toBe(true);
      const texts = Array.from({ length: 50 }, (_, index) => mutate(new Random(`${index}`), valid).text);
      expect(texts.filter((text) => text === JSON.stringify(valid)).length).toBeLessThan(5);
    }
  });

  it('knows how deep a body is', () => {
    expect(depthOf('[[1],{"a":[2]}]')).toBe(3);
    expect(depthOf(String.raw`{"a":"[[\"[["}`)).toBe(1);
  });
});

describe('the judge', () => {
  const hidden = { target: 'edge' as const, texts: ['a-secret'] };
  const headers = {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'x',
    'x-request-id': 'req_1',
  };
  const good = {
    message: "Invalid value for 'n': expected 1 to 16.",
    type: 'invalid_request_error',
    param: 'n',
    code: 'invalid_request',
  };
  const answerOf = (error: object, status = 400, more: Record<string, string> = {}): Outcome => {
    const body = Buffer.from(JSON.stringify({ error }));
    const answer: Answer = { status, headers: new Map(Object.entries({ ...headers, ...more })), body };
    return { answers: [answer], end: 'answered', rest: Buffer.alloc(0), milliseconds: 1 };
  };
  const expected = { statuses: [400], codes: ['invalid_request'], at: 'n' };

  it('finds nothing in an error as it must be', () => {
    expect(judge(answerOf(good), expected, hidden)).toEqual({ unclear: [], crashed: [] });
  });

  it.each([
    ['another status', answerOf(good, 422)],
    ['another code', answerOf({ ...good, code: 'unknown_parameter' })],
    ['another param', answerOf({ ...good, param: 'm' })],
    ['no param', answerOf({ ...good, param: null })],
    ['no type', answerOf({ ...good, type: undefined })],
    ['more fields', answerOf({ ...good, stack: 'x' })],
    ['a message that says nothing', answerOf({ ...good, message: 'Invalid input.' })],
    ['a message that is no sentence', answerOf({ ...good, message: 'expected 1 to 16' })],
    ['a message without end', answerOf({ ...good, message: `Expected ${'x'.repeat(5000)}.` })],
    ['a secret', answerOf({ ...good, message: 'Expected a-secret.' })],
    ['a place in the code', answerOf({ ...good, message: 'Expected one at f (main.ts:1:2).' })],
    ['an object in a text', answerOf({ ...good, message: 'Expected [object Object].' })],
    ['a secret in a header', answerOf(good, 400, { via: 'a-secret' })],
  ])('finds %s', (_, outcome) => {
    expect(judge(outcome, expected, hidden).unclear.length).toBeGreaterThan(0);
  });

  it('counts a server error and silence as crashes, unless they are right', () => {
    const silent: Outcome = { answers: [], end: 'closed', rest: Buffer.alloc(0), milliseconds: 1 };
    expect(judge(answerOf(good, 500), expected, hidden).crashed).toHaveLength(1);
    expect(judge(silent, expected, hidden).crashed).toHaveLength(1);
    expect(judge(silent, { ...expected, isBelowRoutes: true }, hidden).crashed).toEqual([]);
    expect(judgeMessage('Invalid input', null)).not.toEqual([]);
  });
});
