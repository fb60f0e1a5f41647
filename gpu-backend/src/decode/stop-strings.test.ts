import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TextStream } from '../model/token-pieces.ts';
import { StopStringFilter } from './stop-strings.ts';

/** A tokenizer whose token ids are bytes: every character of two bytes or more straddles tokens. */
function byteStream(): TextStream {
  const decoder = new TextDecoder();
  return {
    push: (ids) => decoder.decode(Uint8Array.from(ids), { stream: true }),
    flush: () => decoder.decode(),
  };
}

function bytes(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

interface Filtered {
  text: string;
  numKept: number;
  stopped: boolean;
}

/** Filters tokens that come in runs of the given lengths. */
function filter(
  tokenIds: readonly number[],
  stopStrings: readonly string[],
  runLengths: readonly number[],
): Filtered {
  const filterer = new StopStringFilter(byteStream(), stopStrings);
  let text = '';
  let numKept = 0;
  for (let at = 0, run = 0; at < tokenIds.length; run++) {
    const length = runLengths[run % runLengths.length] ?? 1;
    const result = filterer.push(tokenIds.slice(at, at + length));
    text += result.text;
    numKept += result.keptTokenIds.length;
    at += length;
    if (result.stopped) return { text, numKept, stopped: true };
  }
  const end = filterer.flush();
  return { text: text + end.text, numKept, stopped: end.stopped };
}

/** What it means: cut before the stop string that is complete after the fewest characters, the longest of these. */
function plainCut(
  text: string,
  stopStrings: readonly string[],
): { text: string; numKept: number; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const complete = stopStrings.filter((stop) => text.slice(0, end).endsWith(stop));
    const longest = Math.max(...complete.map((stop) => stop.length));
    if (complete.length === 0) continue;
    return { text: text.slice(0, end - longest), numKept: bytes(text.slice(0, end)).length, stopped: true };
  }
  return { text, numKept: bytes(text).length, stopped: false };
}

// A small alphabet, so that stop strings and their beginnings are frequent; characters of 1 to 4 bytes.
const letters = fc.constantFrom('a', 'b', '\n', 'é', '語', '🙂');
const texts = fc.string({ unit: letters, maxLength: 40 });
const stops = fc.array(fc.string({ unit: letters, minLength: 1, maxLength: 5 }), { maxLength: 4 });
const runs = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 10 });

describe('stop strings', () => {
  it('cut the text at the exact token, whatever the run lengths', () => {
    fc.assert(
      fc.property(texts, stops, runs, (text, stopStrings, runLengths) => {
        const filtered = filter(bytes(text), stopStrings, runLengths);
        expect(filtered).toEqual(plainCut(text, stopStrings));
        for (const stop of stopStrings) expect(filtered.text).not.toContain(stop);
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  it('never let out text that a later token takes back', () => {
    fc.assert(
      fc.property(texts, stops, (text, stopStrings) => {
        const expected = plainCut(text, stopStrings).text;
        const filterer = new StopStringFilter(byteStream(), stopStrings);
        let sent = '';
        for (const byte of bytes(text)) {
          sent += filterer.push([byte]).text;
          expect(expected.startsWith(sent)).toBe(true);
          expect(sent.isWellFormed()).toBe(true);
        }
      }),
      { seed: 4, numRuns: 1000 },
    );
  });

  it('hold back only what can become a stop string', () => {
    const filterer = new StopStringFilter(byteStream(), ['####', 'end']);
    expect(filterer.push(bytes('a ##')).text).toBe('a ');
    expect(filterer.push(bytes(' e')).text).toBe('## ');
    expect(filterer.push(bytes('x')).text).toBe('ex');
    expect(filterer.push(bytes('##')).text).toBe('');
    expect(filterer.flush()).toEqual({ text: '##', stopped: false });
  });

  it('hold back the bytes of an unfinished character, which the end turns into U+FFFD', () => {
    const filterer = new StopStringFilter(byteStream(), []);
    expect(filterer.push(bytes('語').slice(0, 2)).text).toBe('');
    expect(filterer.push(bytes('語').slice(2)).text).toBe('語');
    expect(filterer.push([0xf0, 0x9f]).text).toBe('');
    expect(filterer.flush().text).toBe('\ufffd');
  });

  it('still cut in what only the end of the text completes', () => {
    const filterer = new StopStringFilter(byteStream(), ['\ufffd']);
    expect(filterer.push([...bytes('ok'), 0xf0]).text).toBe('ok');
    expect(filterer.flush()).toEqual({ text: '', stopped: true });
  });

  it('drop everything after the stop, whoever pushes on', () => {
    const filterer = new StopStringFilter(byteStream(), ['.']);
    expect(filterer.push(bytes('one. two'))).toEqual({
      text: 'one',
      keptTokenIds: bytes('one.'),
      stopped: true,
    });
    expect(filterer.push(bytes('three.'))).toEqual({ text: '', keptTokenIds: [], stopped: true });
    expect(filterer.flush()).toEqual({ text: '', stopped: true });
  });

  it.each(['', '\ud83d', 'a\ude00'])('%j is refused', (stop) => {
    expect(() => new StopStringFilter(byteStream(), [stop])).toThrowError('non-empty, well-formed');
  });
});
