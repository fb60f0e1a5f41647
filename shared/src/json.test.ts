import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TidarError } from './errors.ts';
import { MAX_JSON_DEPTH, parseJsonText } from './json.ts';

function refusalOf(text: string): Pick<TidarError, 'code' | 'message' | 'param'> | undefined {
  try {
    parseJsonText(text);
  } catch (error) {
    if (error instanceof TidarError) return error;
    throw error;
  }
  return undefined;
}
const reference = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

describe('JSON from outside', () => {
  it('is the value that JSON.parse makes of it, if no field is there twice', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6, stringUnit: 'grapheme' }), (text) => {
        expect(parseJsonText(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('is never more than JSON.parse takes, and what is refused is refused by a clear error', () => {
    const pieces = fc.constantFrom(...'{}[],:"\\ 1e', '"a"', 'null', '\\u', 'd800', '\u0000');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
        const text = parts.join('');
        const refusal = refusalOf(text);
        if (refusal === undefined) expect(parseJsonText(text)).toEqual(reference(text));
        else expect(['invalid_json', 'invalid_request']).toContain(refusal.code);
      }),
    );
  });

  it.each([
    ['{"a":1,"a":1}', 'a'],
    ['{"a":[{},{"b":1,"c":2,"b":3}]}', 'a[1].b'],
    [String.raw`{"max_tokens":1,"max\u005ftokens":2}`, 'max_tokens'],
    [String.raw`{"a\"":1,"b":"a\\","a\"":2}`, 'a"'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('with a field twice is refused by its name: %s', (text, param) => {
    expect(refusalOf(text)).toMatchObject({ code: 'invalid_request', param });
  });

  it.each([
    '{"a":{"a":1},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    String.raw`{"a":"\"a\":1,"}`,
  ])('with the same name in two places is taken: %s', (text) =>
    expect(parseJsonText(text)).toEqual(JSON.parse(text)),
  );

  it('is read to its depth and no deeper, however deep it is', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(refusalOf(nested(MAX_JSON_DEPTH))).toBeUndefined();
    for (const text of [nested(MAX_JSON_DEPTH + 1), nested(400_000), '{"a":'.repeat(200_000)]) {
      expect(refusalOf(text)).toMatchObject({
        code: 'invalid_json',
        message: expect.stringContaining('128 levels'),
      });
    }
    expect(refusalOf(JSON.stringify(['['.repeat(1000)]))).toBeUndefined();
  });

  it.each([
    [String.raw`{"a":["x","\ud83d"]}`, 'a[1]'],
    [String.raw`{"a":{"\udc00":1}}`, 'a.\ufffd'],
    [String.raw`"\udc00\ud800"`, undefined],
  ])('with half a surrogate pair is refused by where it is: %s', (text, param) => {
    expect(refusalOf(text)).toMatchObject({ code: 'invalid_request', param });
    expect(refusalOf(text)?.message).toContain('well-formed');
  });

  it('with a whole pair in escapes is taken', () => {
    expect(parseJsonText(String.raw`"\ud83d\ude00"`)).toBe('😀');
  });

  it('that is none is refused without a piece of it, which could be a prompt', () => {
    for (const text of ['{"content":"a secret" x}', '{"a secret"', 'a secret', '{"a":"a secret\n"}']) {
      const refusal = refusalOf(text);
      expect(refusal).toMatchObject({ code: 'invalid_json' });
      expect(refusal?.message).not.toContain('secret');
    }
    expect(refusalOf('{"a":1,}')?.message).toMatch(/^The body is not valid JSON: .*position 7/);
    expect(refusalOf('')?.message).toBe('The body is empty: expected JSON.');
  });
});
