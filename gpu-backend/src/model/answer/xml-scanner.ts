import type { Scanned } from './call-scanner.ts';

/** By function, the parameters whose values are written as they are; those of the others are JSON. */
export type TextParameters = Readonly<Record<string, readonly string[]>>;

const FUNCTION = '<function=';
const FUNCTION_END = '</function>';
const PARAMETER = '<parameter=';
const VALUE_END = '\n</parameter>';
/** As Python spells them, whose templates show them so. */
const WORDS: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' };
const NOTHING: Scanned = {};

/**
 * Reads a call in the form of `<function=f>`, `<parameter=p>`, value, `</parameter>`, `</function>`, and tells it as the
 * JSON that it stands for: texts as they come, other values once they are complete.
 */
export class XmlScanner {
  readonly #textParameters: TextParameters;
  #place: 'function' | 'parameter' | 'value' = 'function';
  /** Characters of a tag, or of a value's end, that are not decided yet; of a value that is JSON, all of it. */
  #held = '';
  #name = '';
  #numParameters = 0;
  #isText = true;
  /** The line break after a parameter's name is none of its value. */
  #isAtStart = false;

  constructor(textParameters: TextParameters) {
    this.#textParameters = textParameters;
  }

  push(char: string): Scanned {
    if (this.#place === 'value') return this.#inValue(char);
    this.#held = (this.#held + char).trimStart();
    if (this.#place === 'parameter' && this.#held.endsWith(FUNCTION_END)) {
      return { arguments: this.#numParameters === 0 ? '{}' : '}', isDone: true };
    }
    const opening = this.#place === 'function' ? FUNCTION : PARAMETER;
    const start = this.#held.lastIndexOf(opening);
    if (char !== '>' || start === -1) return NOTHING;
    const name = this.#held.slice(start + opening.length, -1);
    this.#held = '';
    return this.#place === 'function' ? this.#begin(name) : this.#beginValue(name);
  }

  #begin(name: string): Scanned {
    this.#name = name;
    this.#place = 'parameter';
    return { name };
  }

  #beginValue(parameter: string): Scanned {
    const texts = Object.hasOwn(this.#textParameters, this.#name)
      ? this.#textParameters[this.#name]
      : undefined;
    this.#isText = texts === undefined || texts.includes(parameter);
    this.#place = 'value';
    this.#isAtStart = true;
    this.#numParameters += 1;
    const before = this.#numParameters === 1 ? '{' : ', ';
    return { arguments: `${before}${JSON.stringify(parameter)}: ${this.#isText ? '"' : ''}` };
  }

  #inValue(char: string): Scanned {
    const isBreak = this.#isAtStart && char === '\n';
    this.#isAtStart = false;
    if (isBreak) return NOTHING;
    this.#held += char;
    if (this.#held.endsWith(VALUE_END)) return this.#endValue(this.#held.slice(0, -VALUE_END.length));
    if (!this.#isText) return NOTHING;
    const start = startOfEnd(this.#held);
    const certain = this.#held.slice(0, start);
    this.#held = this.#held.slice(start);
    return certain === '' ? NOTHING : { arguments: escaped(certain) };
  }

  #endValue(rest: string): Scanned {
    this.#held = '';
    this.#place = 'parameter';
    if (this.#isText) return { arguments: `${escaped(rest)}"` };
    const value = rest.trim();
    return { arguments: WORDS[value] ?? value };
  }
}

/** Where a value's end may begin. */
function startOfEnd(text: string): number {
  for (let length = Math.min(text.length, VALUE_END.length); length > 0; length--) {
    if (VALUE_END.startsWith(text.slice(-length))) return text.length - length;
  }
  return text.length;
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

interface DescribedTool {
  readonly name: string;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

/** Texts are the parameters whose schema says that they are strings, and all of a function that lists none. */
export function textParametersOf(tools: readonly DescribedTool[]): TextParameters {
  const listed = tools.flatMap(({ name, parameters }) => {
    const properties = parameters?.['properties'];
    return typeof properties === 'object' && properties !== null ? [[name, properties] as const] : [];
  });
  const textsOf = (properties: object): string[] =>
    Object.entries(properties).flatMap(([name, schema]) => (isOfStrings(schema) ? [name] : []));
  return Object.fromEntries(listed.map(([name, properties]) => [name, textsOf(properties)]));
}

export function isOfStrings(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  const { type, enum: values, const: value } = schema as { type?: unknown; enum?: unknown; const?: unknown };
  if (type !== undefined) return type === 'string';
  return (
    typeof value === 'string' || (Array.isArray(values) && values.every((each) => typeof each === 'string'))
  );
}
