import { TidarError } from '@tidar/shared/errors.ts';
import { isOfStrings } from '../../../model/answer/xml-scanner.ts';
import { checkGrammar } from '../check.ts';
import type { Expression, Grammar } from '../expression.ts';
import { chars, choice, EMPTY, MAX_CODE_POINT, repeat, sequence, subtract, text } from '../expression.ts';
import { ANY_VALUE, BOOLEAN } from '../json.ts';
import { refuse } from '../refuse.ts';
import { anyMatch, wholeMatch } from '../regex.ts';
import { schemaGrammar } from '../schema/convert.ts';
import { FORMATS } from '../schema/formats.ts';
import type { SpecTool } from '../spec.ts';
import { freeText } from './free-text.ts';
import type { Rules } from './rules.ts';

type Schema = Readonly<Record<string, unknown>>;

const VALUE_END = '\n</parameter>';
const MAX_UNLISTED = 32;
const NAME = repeat(chars([0x2d, 0x2e], [0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]), 1, 64);
/** As Python spells them: templates show them so. */
const PYTHON_BOOLEAN = choice(text('True'), text('False'));

/** Calls whose parameters are tags: `<function=f>`, `<parameter=p>`, value, `</parameter>`, `</function>`. */
export class XmlCalls {
  readonly #rules: Rules;
  /** Any text, with the end of its value. */
  readonly #anyText: Expression;

  constructor(rules: Rules) {
    this.#rules = rules;
    const end = { mark: VALUE_END, isSpecial: false, then: EMPTY };
    this.#anyText = freeText({ exits: [end], mayEnd: false }, rules.define);
  }

  call({ name, parameters, strict }: SpecTool): Expression {
    const inside = parameters === undefined ? EMPTY : this.#parameters(parameters, strict);
    return sequence(text(`<function=${name}>\n`), inside, text('</function>'));
  }

  #parameters(schema: Schema, isStrict: boolean): Expression {
    if (isStrict) checkGrammar(schemaGrammar({ type: 'object', ...schema }));
    const { properties, required } = schema;
    if (typeof properties !== 'object' || properties === null) {
      if (isStrict && Object.keys(schema).some((keyword) => keyword !== 'type'))
        throw refuse(
          'The JSON schema at # lists no "properties", which this model’s form of calls is made of.',
        );
      return repeat(this.#parameter(NAME, this.#anyText), 0, MAX_UNLISTED);
    }
    const isRequired = new Set(Array.isArray(required) ? required : []);
    const unfit = Object.keys(properties).find((name) => /[>\n]/.test(name));
    if (unfit !== undefined)
      throw refuse(`The JSON schema has the name ${JSON.stringify(unfit)}, which no tag can have.`);
    return Object.entries(properties as Schema).reduceRight<Expression>((after, [name, value]) => {
      const here = sequence(this.#parameter(text(name), this.#value(value, schema, isStrict)), after);
      return this.#rules.define(isRequired.has(name) ? here : choice(here, after));
    }, EMPTY);
  }

  /** `value` ends with the tag's end. */
  #parameter(name: Expression, value: Expression): Expression {
    return this.#rules.define(sequence(text('<parameter='), name, text('>\n'), value, text('\n')));
  }

  #value(schema: unknown, root: Schema, isStrict: boolean): Expression {
    const isText = isOfStrings(schema);
    try {
      const grammar = this.#checked(schema, root);
      if (isText) return this.#text(schema as Schema);
      const isBoolean = (schema as Schema | undefined)?.['type'] === 'boolean';
      const value = isBoolean ? choice(BOOLEAN, PYTHON_BOOLEAN) : this.#rules.embed(grammar);
      return sequence(value, text(VALUE_END));
    } catch (error) {
      if (isStrict || !(error instanceof TidarError)) throw error;
      return isText ? this.#anyText : sequence(ANY_VALUE, text(VALUE_END));
    }
  }

  /** The value's own grammar, with the definitions that it may refer to; throws where it cannot be kept. */
  #checked(schema: unknown, root: Schema): Grammar {
    if (typeof schema !== 'object' || schema === null) return schemaGrammar(schema);
    const { $defs, definitions } = root;
    const defined = {
      ...($defs === undefined ? {} : { $defs }),
      ...(definitions === undefined ? {} : { definitions }),
    };
    const grammar = schemaGrammar({ ...defined, ...schema });
    checkGrammar(grammar);
    return grammar;
  }

  /** Without quotes and escapes; what is ruled has no "<", since that may begin the end. */
  #text(schema: Schema): Expression {
    const { enum: values, const: constant, pattern, format, minLength, maxLength } = schema;
    const end = text(VALUE_END);
    const constants = constant === undefined ? values : [constant];
    if (Array.isArray(constants)) {
      const possible = constants.filter(
        (each) => typeof each === 'string' && !`${each}\n`.includes(VALUE_END),
      );
      if (possible.length === 0) throw refuse('The JSON schema has no value that a tag can hold.');
      return sequence(choice(...possible.map((each) => text(String(each)))), end);
    }
    if (typeof pattern === 'string') return sequence(withoutTags(anyMatch(pattern)), end);
    if (typeof format === 'string') return sequence(wholeMatch(FORMATS[format] ?? ''), end);
    if (minLength === undefined && maxLength === undefined) return this.#anyText;
    const most = typeof maxLength === 'number' ? maxLength : undefined;
    const any = repeat(chars([0, MAX_CODE_POINT]), typeof minLength === 'number' ? minLength : 0, most);
    return sequence(withoutTags(any), end);
  }
}

function withoutTags(expression: Expression): Expression {
  switch (expression.type) {
    case 'text':
      return expression.text.includes('<') ? chars() : expression;
    case 'chars':
      return { ...expression, ranges: subtract(expression.ranges, [[0x3c, 0x3c]]) };
    case 'sequence':
      return { ...expression, parts: expression.parts.map(withoutTags) };
    case 'choice':
      return { ...expression, options: expression.options.map(withoutTags) };
    case 'repeat':
      return { ...expression, body: withoutTags(expression.body) };
    case 'rule':
    case 'special':
      return expression;
  }
}
