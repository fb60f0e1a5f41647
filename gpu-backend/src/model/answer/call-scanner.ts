/** What a character adds to a call. */
export interface Scanned {
  readonly name?: string;
  readonly arguments?: string;
  /** The object is complete. */
  readonly isDone?: true;
}

const NOTHING: Scanned = {};

/**
 * Reads the JSON of one call, `{"name": …, "arguments": {…}}`, character by character: the name once it is complete, the
 * arguments as they come, as they are written. Other members are read over.
 */
export class CallScanner {
  readonly #argumentsKey: string;
  /** Where the arguments stand alone, the depth of what is not there around them. */
  readonly #endDepth: number;
  #depth: number;
  #isInString = false;
  #isEscaped = false;
  /** The string of depth 1 that is being read, or was read last. */
  #string = '';
  #key: string | undefined;

  constructor(argumentsKey: string, isBare = false) {
    this.#argumentsKey = argumentsKey;
    this.#endDepth = isBare ? 1 : 0;
    this.#depth = this.#endDepth;
    if (isBare) this.#key = argumentsKey;
  }

  push(char: string): Scanned {
    if (this.#isInString) return this.#inString(char);
    if (char === '"') {
      this.#isInString = true;
      this.#string = '';
      return this.#part(char);
    }
    if (char === '{' || char === '[') return this.#open(char);
    if (char === '}' || char === ']') return this.#close(char);
    if (this.#depth > 1) return this.#part(char);
    if (char === ':') this.#key = this.#string;
    else if (char === ',') this.#key = undefined;
    else if (/\S/.test(char)) return this.#part(char);
    return NOTHING;
  }

  #inString(char: string): Scanned {
    const isEnd = char === '"' && !this.#isEscaped;
    this.#isEscaped = char === '\\' && !this.#isEscaped;
    if (!isEnd) {
      if (this.#depth === 1) this.#string += char;
      return this.#part(char);
    }
    this.#isInString = false;
    if (this.#depth === 1 && this.#key === 'name') return { name: unquoted(this.#string) };
    return this.#part(char);
  }

  #open(char: string): Scanned {
    this.#depth += 1;
    return this.#depth === 1 ? NOTHING : this.#part(char);
  }

  #close(char: string): Scanned {
    this.#depth -= 1;
    const scanned = this.#depth === 0 ? NOTHING : this.#part(char);
    return this.#depth === this.#endDepth ? { ...scanned, isDone: true } : scanned;
  }

  #part(char: string): Scanned {
    return this.#key === this.#argumentsKey ? { arguments: char } : NOTHING;
  }
}

function unquoted(content: string): string {
  try {
    return JSON.parse(`"${content}"`) as string;
  } catch {
    return content;
  }
}
