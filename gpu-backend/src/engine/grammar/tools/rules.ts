import type { Expression, Grammar, Rule } from '../expression.ts';
import { EMPTY, ROOT, rule } from '../expression.ts';
import { jsonRules } from '../json.ts';

/** Makes rules of a grammar. */
export interface Define {
  (body: Expression): Expression;
  /** A rule that may be used before its body is there. */
  later(): { readonly rule: Expression; readonly set: (body: Expression) => void };
}

/** A grammar that is put together from others. */
export class Rules {
  readonly #rules = new Map<string, Rule>(jsonRules());
  readonly #shared = new Set(this.#rules.keys());
  #numParts = 0;
  readonly define: Define = Object.assign((body: Expression): Expression => this.#add(body), {
    later: () => {
      const name = `tools ${this.#rules.size}`;
      this.#rules.set(name, { body: EMPTY });
      return { rule: rule(name), set: (body: Expression) => void this.#rules.set(name, { body }) };
    },
  });

  #add(body: Expression): Expression {
    const { rule: made, set } = this.define.later();
    set(body);
    return made;
  }

  /** Another grammar as a part of this one. Its rules get names of their own, but for those of JSON. */
  embed(grammar: Grammar): Expression {
    const prefix = `part ${(this.#numParts += 1)}: `;
    const rename = (name: string): string => (this.#shared.has(name) ? name : prefix + name);
    for (const [name, { body, ...rest }] of grammar) {
      if (!this.#shared.has(name)) this.#rules.set(rename(name), { ...rest, body: renamed(body, rename) });
    }
    return rule(rename(ROOT));
  }

  grammar(root: Expression): Grammar {
    return new Map([[ROOT, { body: root }], ...this.#rules]);
  }
}

function renamed(expression: Expression, rename: (name: string) => string): Expression {
  switch (expression.type) {
    case 'rule':
      return rule(rename(expression.name));
    case 'sequence':
      return { ...expression, parts: expression.parts.map((part) => renamed(part, rename)) };
    case 'choice':
      return { ...expression, options: expression.options.map((option) => renamed(option, rename)) };
    case 'repeat':
      return { ...expression, body: renamed(expression.body, rename) };
    case 'text':
    case 'chars':
    case 'special':
      return expression;
  }
}
