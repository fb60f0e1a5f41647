/** What passes gave and what plain ones would have given, both fading. */
interface Record {
  tokens: number;
  milliseconds: number;
  plainTokens: number;
  plainMilliseconds: number;
  numPasses: number;
  /** Passes that are still to be plain. */
  numPlainLeft: number;
  /** How many they are to be the next time. */
  numPlainNext: number;
}

/** One pass, of all its runs but those of prompts alone. */
export interface DecodedPass {
  readonly numDecoded: number;
  readonly numTokens: number;
  readonly milliseconds: number;
  readonly plainMilliseconds: number;
}

const FADE = 1 / 64;
/** Passes before a record counts. */
const NUM_TRIAL_PASSES = 48;
/** Drafting must give a little more than plain decoding would: what that would take is an estimate. */
const LEAST_GAIN = 1.02;
const FIRST_PLAIN_PASSES = 192;
const MOST_PLAIN_PASSES = 768;

/**
 * Holds plans to what they gave: where many texts together came slower than plain decoding would have let them, all are
 * decoded plainly for a while, and then tried again. Expectations can be wrong; this is measured.
 */
export class Guard {
  readonly #bySize = new Map<number, Record>();

  /** Whether so many texts are to be decoded plainly now; counts the pass. */
  isClosed(numSequences: number): boolean {
    const record = this.#recordOf(numSequences);
    if (record.numPlainLeft === 0) return false;
    record.numPlainLeft -= 1;
    return true;
  }

  /**
   * What a pass of so many texts gave: of those that were decoded in it, not of prompts. `plainMilliseconds` is what
   * plain decoding of these would take.
   */
  observe(numSequences: number, pass: DecodedPass): void {
    const record = this.#recordOf(numSequences);
    if (record.numPlainLeft > 0) return;
    const fade = 1 - FADE;
    record.tokens = fade * record.tokens + pass.numTokens;
    record.milliseconds = fade * record.milliseconds + pass.milliseconds;
    record.plainTokens = fade * record.plainTokens + pass.numDecoded;
    record.plainMilliseconds = fade * record.plainMilliseconds + pass.plainMilliseconds;
    record.numPasses += 1;
    if (record.numPasses < NUM_TRIAL_PASSES) return;
    const rate = record.tokens / record.milliseconds;
    const plainRate = record.plainTokens / record.plainMilliseconds;
    if (rate >= LEAST_GAIN * plainRate) {
      record.numPlainNext = FIRST_PLAIN_PASSES;
      return;
    }
    const { numPlainNext } = record;
    this.#bySize.set(sizeOf(numSequences), {
      ...newRecord(),
      numPlainLeft: numPlainNext,
      numPlainNext: Math.min(2 * numPlainNext, MOST_PLAIN_PASSES),
    });
  }

  #recordOf(numSequences: number): Record {
    const size = sizeOf(numSequences);
    const known = this.#bySize.get(size);
    if (known !== undefined) return known;
    const record = newRecord();
    this.#bySize.set(size, record);
    return record;
  }
}

function newRecord(): Record {
  return {
    tokens: 0,
    milliseconds: 0,
    plainTokens: 0,
    plainMilliseconds: 0,
    numPasses: 0,
    numPlainLeft: 0,
    numPlainNext: FIRST_PLAIN_PASSES,
  };
}

/** Sizes that are judged together: between one power of two and the next. */
function sizeOf(numSequences: number): number {
  return Math.ceil(Math.log2(Math.max(1, numSequences)));
}
