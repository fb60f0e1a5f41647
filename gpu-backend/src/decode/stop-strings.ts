import { TidarError } from '@tidar/shared/errors.ts';
import type { TextStream } from '../model/token-pieces.ts';

/** What a run of tokens adds to the text. */
export interface FilteredText {
  /** Text that is certain: no stop string can begin in it. */
  readonly text: string;
  /** The tokens that count: all of them, or up to the one that completed a stop string. */
  readonly keptTokenIds: number[];
  readonly stopped: boolean;
}

/**
 * Turns tokens into text that never contains a stop string, and finds the exact token at which one is complete. The
 * result does not depend on how the tokens are cut into runs. Held back until it is certain: the bytes of an
 * unfinished character, and a tail that may be the beginning of a stop string.
 */
export class StopStringFilter {
  readonly #stream: TextStream;
  readonly #stopStrings: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stream: TextStream, stopStrings: readonly string[]) {
    for (const stop of stopStrings) {
      if (stop !== '' && stop.isWellFormed()) continue;
      throw new TidarError('invalid_request', 'A stop string must be non-empty, well-formed text.', {
        param: 'stop',
      });
    }
    this.#stream = stream;
    this.#stopStrings = stopStrings;
  }

  /** Takes the next decided tokens. After a stop string, everything is dropped. */
  push(tokenIds: readonly number[]): FilteredText {
    let text = '';
    const keptTokenIds: number[] = [];
    for (const tokenId of tokenIds) {
      if (this.#stopped) break;
      keptTokenIds.push(tokenId);
      text += this.#take(this.#stream.push([tokenId]));
    }
    return { text, keptTokenIds, stopped: this.#stopped };
  }

  /** Ends the text: what was held back is certain now. A stop string in its last characters still cuts. */
  flush(): { text: string; stopped: boolean } {
    if (this.#stopped) return { text: '', stopped: true };
    const text = this.#take(this.#stream.flush());
    const rest = this.#stopped ? '' : this.#held;
    this.#held = '';
    return { text: text + rest, stopped: this.#stopped };
  }

  /** Adds a piece of text; returns what became certain. */
  #take(piece: string): string {
    if (piece === '') return '';
    const text = this.#held + piece;
    const start = findFirstStop(text, this.#stopStrings);
    this.#stopped = start >= 0;
    const numCertain = this.#stopped ? start : text.length - partialStopLength(text, this.#stopStrings);
    this.#held = this.#stopped ? '' : text.slice(numCertain);
    return text.slice(0, numCertain);
  }
}

/** Where the stop string that is complete first begins (the longest of those that end together), or -1. */
function findFirstStop(text: string, stopStrings: readonly string[]): number {
  let firstEnd = Infinity;
  let firstStart = -1;
  for (const stop of stopStrings) {
    const start = text.indexOf(stop);
    const end = start + stop.length;
    if (start < 0 || end > firstEnd || (end === firstEnd && start > firstStart)) continue;
    firstEnd = end;
    firstStart = start;
  }
  return firstStart;
}

/** Length of the longest tail of the text that a stop string begins with. */
function partialStopLength(text: string, stopStrings: readonly string[]): number {
  let longest = 0;
  for (const stop of stopStrings) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (stop.startsWith(text.slice(text.length - length))) longest = length;
    }
  }
  return longest;
}
