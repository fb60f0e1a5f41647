import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requestIdIn, traceFields, traceHeaders, traceOf } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const headers = (traceparent: string, tracestate?: string): Headers =>
  new Headers({ traceparent, ...(tracestate === undefined ? {} : { tracestate }) });

describe('a trace', () => {
  it('goes on with the caller’s id and flags, under a span of its own', () => {
    const trace = traceOf(headers(`00-${TRACE}-${PARENT}-01`, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'));
    expect(trace).toMatchObject({ traceId: TRACE, parentId: PARENT, flags: '01' });
    expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(trace.spanId).not.toBe(PARENT);
    expect(traceHeaders(trace)).toEqual({
      traceparent: `00-${TRACE}-${trace.spanId}-01`,
      tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    });
    expect(traceFields(trace)).toEqual({ trace_id: TRACE, span_id: trace.spanId, parent_span_id: PARENT });
  });

  it('is one from server to server: the next one’s parent is the span of the one before', () => {
    const first = traceOf(new Headers());
    const second = traceOf(new Headers(traceHeaders(first)));
    expect(second).toMatchObject({ traceId: first.traceId, parentId: first.spanId, flags: first.flags });
  });

  it.each([
    ['is missing', undefined],
    ['is empty', ''],
    ['has capital letters', `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ['has an id of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['has a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['is of the version that is none', `ff-${TRACE}-${PARENT}-01`],
    ['is too short', `00-${TRACE}-${PARENT}`],
    ['has more than its version allows', `00-${TRACE}-${PARENT}-01-more`],
    ['has an end without a dash in a later version', `01-${TRACE}-${PARENT}-01more`],
    ['came twice', `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`],
  ])('begins here where the caller’s %s, and tells nothing of what came with it', (_, parent) => {
    const given = parent === undefined ? new Headers() : headers(parent, 'rojo=1');
    const trace = traceOf(given, 'c'.repeat(32));
    expect(trace).toMatchObject({ traceId: 'c'.repeat(32), flags: '01' });
    expect(trace).not.toHaveProperty('parentId');
    expect(trace).not.toHaveProperty('state');
    expect(traceFields(trace)).not.toHaveProperty('parent_span_id');
  });

  it('never begins with an id that is none', () => {
    for (const id of [undefined, '', '0'.repeat(32), 'x'.repeat(32)]) {
      expect(traceOf(new Headers(), id).traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    }
  });

  it('reads what a later version begins with, and says nothing in its name', () => {
    const trace = traceOf(headers(`cc-${TRACE}-${PARENT}-ff-what-the-future-brings`));
    expect(traceHeaders(trace)).toEqual({ traceparent: `00-${TRACE}-${trace.spanId}-03` });
  });

  it.each([
    ['foo=1,foo=2', undefined],
    ['foo', undefined],
    ['foo=1,,bar=2, ,baz=3', 'foo=1,bar=2,baz=3'],
    [' foo=1 ,\tbar=2\t', 'foo=1,bar=2'],
    ['1@tenant=x', '1@tenant=x'],
    ['FOO=1', undefined],
    ['foo=a=b', undefined],
    [Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(), undefined],
    [
      `long=${'x'.repeat(200)},${'y'.repeat(9)}=${'x'.repeat(250)},z=${'z'.repeat(100)}`,
      `z=${'z'.repeat(100)}`,
    ],
  ])('passes on what others keep in it, whole members of a list that is right: %s', (state, passed) => {
    const { tracestate } = traceHeaders(traceOf(headers(`00-${TRACE}-${PARENT}-00`, state)));
    expect(tracestate).toBe(passed);
  });

  it('makes headers that are right, whatever came', () => {
    const ascii = fc.string({ unit: 'binary-ascii' }).filter((text) => !/[\0\r\n]/.test(text));
    fc.assert(
      fc.property(ascii, ascii, (parent, state) => {
        const made = traceHeaders(traceOf(headers(parent, state)));
        expect(made['traceparent']).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]$/);
        expect(made['tracestate']?.length ?? 0).toBeLessThanOrEqual(512);
      }),
    );
  });
});

describe('a request’s id of the server before', () => {
  it('is taken where it can be one', () => {
    expect(requestIdIn(new Headers({ 'x-request-id': 'req_0af7' }))).toBe('req_0af7');
    for (const wrong of ['', 'two words', '{"event":"x"}', 'x'.repeat(129)]) {
      expect(requestIdIn(new Headers({ 'x-request-id': wrong }))).toBeUndefined();
    }
    expect(requestIdIn(new Headers())).toBeUndefined();
  });
});
