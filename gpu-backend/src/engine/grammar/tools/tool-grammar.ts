import { TidarError } from '@tidar/shared/errors.ts';
import type { CallForm } from '../../../model/answer/forms.ts';
import { ARGS_MARK, CALL_ID_MARK, FORMS, PYTHON_MARK } from '../../../model/answer/forms.ts';
import { checkGrammar } from '../check.ts';
import type { Expression, Grammar } from '../expression.ts';
import { chars, choice, EMPTY, optional, repeat, sequence, text } from '../expression.ts';
import { ANY_OBJECT, bracketed, COLON, COMMA, SPACE } from '../json.ts';
import { schemaGrammar } from '../schema/convert.ts';
import type { GrammarSpec, SpecTool, ToolCallsSpec } from '../spec.ts';
import type { Exit } from './free-text.ts';
import { freeText } from './free-text.ts';
import { Rules } from './rules.ts';
import { afterThoughts, BLANKS, markOf } from './thoughts.ts';
import { XmlCalls } from './xml-calls.ts';

/** Of one answer. */
const MAX_CALLS = 32;
/** Mistral's ids. */
const ID = repeat(chars([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]), 9, 9);
/** A schema without any of these says nothing of what it is a schema of. */
const SHAPING = ['type', '$ref', 'anyOf', 'oneOf', 'allOf', 'enum', 'const'];

/**
 * What a model may write that has tools: calls in its own form whose names and arguments are valid; with mode `auto` text
 * before them, or alone. `readText` reads the grammar that such a text follows, where there is one.
 */
export function toolGrammar(spec: ToolCallsSpec, readText: (spec: GrammarSpec) => Grammar): Grammar {
  return new ToolGrammar(spec).grammar(readText);
}

class ToolGrammar {
  readonly #spec: ToolCallsSpec;
  readonly #form: CallForm;
  readonly #rules = new Rules();

  constructor(spec: ToolCallsSpec) {
    this.#spec = spec;
    this.#form = FORMS[spec.form];
  }

  grammar(readText: (spec: GrammarSpec) => Grammar): Grammar {
    const { mode, text: textSpec } = this.#spec;
    const calls = this.#rules.define(this.#calls());
    if (mode === 'auto' && textSpec === undefined) return this.#rules.grammar(this.#textOrCalls(calls));
    const opened = sequence(this.#opening(), calls);
    const own = mode === 'auto' && textSpec !== undefined ? [this.#rules.embed(readText(textSpec))] : [];
    return this.#rules.grammar(this.#afterThoughts(choice(...own, opened)));
  }

  #mark(mark: string): Expression {
    return markOf(mark, this.#spec.specialMarks);
  }

  #exit(mark: string, then: Expression): Exit {
    return { mark, then, isSpecial: this.#spec.specialMarks.includes(mark) };
  }

  /** What stands before the calls. */
  #opening(): Expression {
    const { open } = this.#form;
    return open === '' ? optional(sequence(this.#mark(PYTHON_MARK), BLANKS)) : this.#mark(open);
  }

  #afterThoughts(rest: Expression): Expression {
    const { thoughts, isThinking, specialMarks } = this.#spec;
    if (thoughts === undefined) return rest;
    return afterThoughts({ thoughts, isThinking, specialMarks }, rest, this.#rules.define);
  }

  #textOrCalls(calls: Expression): Expression {
    const { thoughts, isThinking } = this.#spec;
    const { open } = this.#form;
    const { define } = this.#rules;
    const exits = [this.#exit(open === '' ? PYTHON_MARK : open, define(sequence(BLANKS, calls)))];
    const answer = freeText({ exits, mayEnd: true, object: open === '' ? calls : undefined }, define);
    if (thoughts === undefined) return answer;
    const thought = freeText({ exits: [this.#exit(thoughts.close, answer)], mayEnd: true }, define);
    return isThinking ? thought : choice(answer, sequence(BLANKS, this.#mark(thoughts.open), thought));
  }

  /** All calls of an answer, after the mark that opens the first. */
  #calls(): Expression {
    const { open, close, body } = this.#form;
    const more = this.#form.isMany && this.#spec.isParallel ? MAX_CALLS - 1 : 0;
    const end = close === '' ? EMPTY : sequence(SPACE, this.#mark(close));
    if (body === 'list') {
      const object = this.#rules.define(this.#object());
      const list = sequence(object, repeat(sequence(COMMA, object), 0, more));
      return sequence(SPACE, bracketed('[', ']', list), end);
    }
    const call = this.#rules.define(sequence(SPACE, this.#call(), end));
    const next = sequence(SPACE, open === '' ? EMPTY : this.#mark(open), call);
    return sequence(call, repeat(next, 0, more));
  }

  #call(): Expression {
    const { body } = this.#form;
    if (body === 'xml') {
      const calls = new XmlCalls(this.#rules);
      return choice(...this.#spec.tools.map((tool, index) => this.#of(index, () => calls.call(tool))));
    }
    return body === 'named' ? this.#named() : this.#object();
  }

  /** What is wrong with a function is refused by its place. */
  #of(index: number, make: () => Expression): Expression {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof TidarError)) throw error;
      throw new TidarError(error.code, error.message, { param: `tools[${index}].function.parameters` });
    }
  }

  #object(): Expression {
    const { argumentsKey, body } = this.#form;
    const id = sequence(COMMA, text('"id"'), COLON, text('"'), ID, text('"'));
    const calls = this.#spec.tools.map((tool, index) => {
      const name = sequence(text('"name"'), COLON, text(JSON.stringify(tool.name)), COMMA);
      return sequence(name, text(`"${argumentsKey}"`), COLON, this.#arguments(tool, index));
    });
    return bracketed('{', '}', sequence(choice(...calls), body === 'list' ? optional(id) : EMPTY));
  }

  #named(): Expression {
    const id = optional(sequence(this.#mark(CALL_ID_MARK), ID));
    const calls = this.#spec.tools.map((tool, index) =>
      sequence(text(tool.name), id, this.#mark(ARGS_MARK), SPACE, this.#arguments(tool, index)),
    );
    return choice(...calls);
  }

  #arguments({ parameters, strict }: SpecTool, index: number): Expression {
    if (parameters === undefined) return text('{}');
    return this.#of(index, () => {
      try {
        const grammar = schemaGrammar(ofObject(parameters));
        checkGrammar(grammar);
        return this.#rules.embed(grammar);
      } catch (error) {
        if (strict || !(error instanceof TidarError)) throw error;
        return ANY_OBJECT;
      }
    });
  }
}

function ofObject(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return SHAPING.some((keyword) => Object.hasOwn(schema, keyword)) ? schema : { ...schema, type: 'object' };
}
