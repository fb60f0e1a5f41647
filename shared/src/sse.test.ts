import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSse, encodeSse, encodeSseComment, SseDecoder, type SseMessage } from './sse.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Cuts bytes at the given places, whatever they fall into. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

function decode(chunks: readonly Uint8Array[]): SseMessage[] {
  const decoder = new SseDecoder();
  return chunks.flatMap((chunk) => decoder.push(chunk));
}

const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n\0\uFEFF]/g, ''));
const message = fc.record({
  data: fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => lines.join('\n')),
  event: fc.option(
    line.filter((text) => text !== ''),
    { nil: undefined },
  ),
  id: fc.option(line, { nil: undefined }),
});
const places = fc.array(fc.nat(), { maxLength: 8 });

describe('SSE', () => {
  it('decodes what it encodes, however the bytes are cut and with comments between', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(message, line)), places, (parts, where) => {
        const text = parts.map(([sent, comment]) => encodeSseComment(comment) + encodeSse(sent)).join('');
        expect(decode(cut(bytesOf(text), where))).toEqual(parts.map(([sent]) => sent));
      }),
    );
  });

  it('reads CRLF and CR as it reads LF, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(message), fc.constantFrom('\r\n', '\r'), places, (sent, ending, where) => {
        const text = sent.map(encodeSse).join('').replaceAll('\n', ending);
        expect(decode(cut(bytesOf(text), where))).toEqual(sent);
      }),
    );
  });

  it('reads any bytes, UTF-8 or not, to the same events wherever they are cut', () => {
    const noise = fc
      .uint8Array({ maxLength: 24 })
      .map((bytes) => bytes.filter((byte) => byte !== 10 && byte !== 13));
    fc.assert(
      fc.property(noise, places, (bytes, where) => {
        const stream = new Uint8Array([...bytesOf('data: '), ...bytes, ...bytesOf('\n\n')]);
        const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        expect(decode(cut(stream, where))).toEqual([{ data: expected, event: undefined, id: undefined }]);
      }),
    );
  });

  it('keeps a character whose bytes come in two chunks, and marks one that is broken off', () => {
    const euro = bytesOf('€');
    const chunks = [bytesOf('data: '), euro.subarray(0, 1), euro.subarray(1), bytesOf('\n\n')];
    expect(decode(chunks)).toMatchObject([{ data: '€' }]);
    expect(decode([bytesOf('data: '), euro.subarray(0, 2), bytesOf('x\n\n')])).toMatchObject([
      { data: '\uFFFDx' },
    ]);
  });

  it('gives no event before its empty line has come', () => {
    expect(decode([bytesOf('event: step\ndata: {}\n')])).toEqual([]);
  });

  it('refuses to write an event or id of two lines, which could forge a field', () => {
    expect(() => encodeSse({ data: '', event: 'a\ndata: b' })).toThrow('one line');
    expect(() => encodeSse({ data: '', id: '1\r2' })).toThrow('one line');
    expect(() => encodeSseComment('a\n\ndata: b')).toThrow('one line');
  });

  it('refuses an event longer than its bound instead of keeping it', () => {
    const decoder = new SseDecoder({ maxEventLength: 100 });
    const push = (): void => {
      for (let round = 0; round < 20; round += 1) decoder.push(bytesOf('data: 0123456789\n'));
    };
    expect(push).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
  });

  it('refuses bytes that are not UTF-8 where it is strict, and nothing else, wherever they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), places, (bytes, where) => {
        // A character that breaks off may still come whole.
        const stream = new Uint8Array([...bytes, ...bytesOf('\n')]);
        const decoder = new SseDecoder({ isStrict: true });
        const read = (): SseMessage[] => cut(stream, where).flatMap((chunk) => decoder.push(chunk));
        if (Buffer.from(stream).equals(Buffer.from(Buffer.from(stream).toString())))
          expect(read()).toEqual(decode(cut(stream, where)));
        else expect(read).toThrow(expect.objectContaining({ code: 'invalid_json' }));
      }),
    );
  });

  it('reads any bytes to events or refuses them for their length, and never holds more than its bound', () => {
    const line = fc.oneof(
      fc.constantFrom('data: a\n', 'data\n', ': x\r', 'id: 1\r\n', 'event: e\n', '\n', 'retry: 9\n', ':'),
      fc.string({ unit: 'binary', maxLength: 60 }),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), places, (lines, where) => {
        const decoder = new SseDecoder({ maxEventLength: 100 });
        try {
          for (const chunk of cut(bytesOf(lines.join('')), where))
            for (const { data } of decoder.push(chunk)) expect(data.length).toBeLessThanOrEqual(100);
        } catch (error) {
          expect(error).toMatchObject({ code: 'payload_too_large' });
        }
      }),
    );
  });

  it('cancels the stream when its reader leaves early', async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytesOf('data: 1\n\n')),
      cancel: () => void (cancelled = true),
    });
    for await (const received of decodeSse(stream)) {
      expect(received.data).toBe('1');
      break;
    }
    expect(cancelled).toBe(true);
  });
});
