import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TidarError } from './errors.ts';
import { parseJson } from './parse.ts';

const schema = z.strictObject({
  name: z.string(),
  either: z.union([z.string().min(1), z.array(z.number())]).optional(),
  pairs: z.record(z.string().max(3, 'expected at most 3 characters'), z.string()).optional(),
});

function refusalOf(body: string): TidarError {
  try {
    parseJson(schema, body);
  } catch (error) {
    return error as TidarError;
  }
  throw new Error('it was taken');
}

describe('a body that does not fit', () => {
  it.each([
    ['{}', 'name', 'expected string, and there is none'],
    ['{"name":5}', 'name', 'expected string, received number'],
    [
      '{"name":"a","either":true}',
      'either',
      'expected string, received boolean; or expected array, received boolean',
    ],
    ['{"name":"a","pairs":{"long":"x"}}', 'pairs.long', 'its name: expected at most 3 characters'],
    ['{"name":"a","heat":1}', 'heat', 'Unknown parameter'],
    ['{"name":"a","__proto__":1}', '__proto__', 'Unknown parameter'],
  ])('is refused by the name of what is wrong, and told what would be right: %s', (body, param, words) => {
    const { message, param: named } = refusalOf(body);
    expect(named).toBe(param);
    expect(message).toContain(words);
    expect(message).not.toMatch(/undefined|Invalid input/);
  });

  it('never has a message or a name that is endless', () => {
    const { message, param } = refusalOf(JSON.stringify({ name: 'a', ['x'.repeat(50_000)]: 1 }));
    expect(message.length).toBeLessThan(600);
    expect(param?.length).toBeLessThan(300);
  });

  it('is also what would lose a field on its way', () => {
    for (const name of ['__proto__', String.raw`__pro\u0074o__`]) {
      expect(refusalOf(`{"name":"a","pairs":{"${name}":"x"}}`)).toMatchObject({ param: 'pairs.__proto__' });
    }
    const free = z.strictObject({ a: z.custom<object>((value) => typeof value === 'object') });
    const body = '{"a":{"__proto__":{"__proto__":1}}}';
    expect(JSON.stringify(parseJson(free, body))).toBe(body);
  });
});
