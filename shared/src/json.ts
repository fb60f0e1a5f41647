import { TidarError } from './errors.ts';

/** How deep lists and objects may lie in each other. */
export const MAX_JSON_DEPTH = 128;
const MAX_PATH_LENGTH = 200;
/** The escape of either half of a surrogate pair. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/**
 * JSON text from outside as a value. Refused is what is no JSON, what is nested so deep that whoever walks through it
 * may run out of stack, a field that is there twice (one of its values would be ignored), and half a surrogate pair,
 * which no UTF-8 text can hold.
 */
export function parseJsonText(text: string): unknown {
  const scan = new JsonScan(text);
  const value = parsed(text);
  if (scan.duplicate !== undefined) {
    const param = scan.duplicate;
    throw new TidarError('invalid_request', `'${param}' is there twice: give it once.`, { param });
  }
  if (SURROGATE_ESCAPE.test(text)) assertWellFormed(value, []);
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() === '') throw new TidarError('invalid_json', 'The body is empty: expected JSON.');
    throw new TidarError('invalid_json', `The body is not valid JSON: ${reasonOf(error)}.`);
  }
}

/** The parser's own words without the piece of the text that some of them end in: it goes to logs as well. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/, (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s, '');
}

/** `messages[0].content`, as OpenAI names parameters; no longer than a person reads. */
export function pathName(path: readonly PropertyKey[]): string {
  const name = path.reduce<string>((outer, key) => {
    if (typeof key === 'number') return `${outer}[${key}]`;
    return outer === '' ? String(key) : `${outer}.${String(key)}`;
  }, '');
  return name.length <= MAX_PATH_LENGTH ? name : `${name.slice(0, MAX_PATH_LENGTH)}…`.toWellFormed();
}

function assertWellFormed(value: unknown, path: readonly PropertyKey[]): void {
  if (typeof value === 'string' && !value.isWellFormed()) throw illFormed(path);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const place = [...path, Array.isArray(value) ? Number(key) : key.toWellFormed()];
    if (!key.isWellFormed()) throw illFormed(place);
    assertWellFormed(inner, place);
  }
}

function illFormed(path: readonly PropertyKey[]): TidarError {
  const param = pathName(path);
  const where = param === '' ? 'The body is not valid' : `Invalid value for '${param}'`;
  const message = `${where}: expected well-formed Unicode, and half of a surrogate pair is in it.`;
  return new TidarError('invalid_request', message, param === '' ? {} : { param });
}

interface Frame {
  /** Of an object. */
  names: Set<string> | undefined;
  /** The field or the place in a list that comes now. */
  key: string | number;
  /** The next string is a field's name. */
  isNameNext: boolean;
}

/** Goes once through the text, valid or not, for what JSON.parse does not tell. */
class JsonScan {
  /** The path of the first field that is there twice. */
  duplicate: string | undefined;
  readonly #text: string;
  readonly #frames: Frame[] = [];

  constructor(text: string) {
    this.#text = text;
    for (let at = 0; at < text.length; at += 1) {
      const character = text.charCodeAt(at);
      if (character === QUOTE) at = this.#string(at);
      else if (character === BRACE || character === BRACKET) this.#open(character === BRACE);
      else if (character === END_BRACE || character === END_BRACKET) this.#frames.pop();
      else if (character === COMMA) this.#next();
    }
  }

  #open(isObject: boolean): void {
    if (this.#frames.length === MAX_JSON_DEPTH) {
      const message = `The body is nested deeper than the ${MAX_JSON_DEPTH} levels that are read.`;
      throw new TidarError('invalid_json', message);
    }
    this.#frames.push({ names: isObject ? new Set() : undefined, key: 0, isNameNext: isObject });
  }

  #next(): void {
    const frame = this.#frames.at(-1);
    if (frame?.names !== undefined) frame.isNameNext = true;
    else if (typeof frame?.key === 'number') frame.key += 1;
  }

  /** Returns where the string ends. */
  #string(from: number): number {
    const end = endOfString(this.#text, from + 1);
    const frame = this.#frames.at(-1);
    if (frame?.names === undefined || !frame.isNameNext) return end;
    frame.isNameNext = false;
    frame.key = unescaped(this.#text.slice(from + 1, end));
    if (frame.names.has(frame.key)) this.duplicate ??= pathName(this.#frames.map(({ key }) => key));
    frame.names.add(frame.key);
    return end;
  }
}

const [QUOTE, BRACE, END_BRACE, BRACKET, END_BRACKET, COMMA] = [0x22, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c];

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let numBackslashes = 0;
    while (at - numBackslashes > from && text[at - 1 - numBackslashes] === '\\') numBackslashes += 1;
    if (numBackslashes % 2 === 0) return at;
  }
  return text.length;
}

function unescaped(name: string): string {
  if (!name.includes('\\')) return name;
  try {
    return JSON.parse(`"${name}"`) as string;
  } catch {
    return name;
  }
}
