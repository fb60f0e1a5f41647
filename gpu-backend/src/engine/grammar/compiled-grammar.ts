import type { GrammarState } from './grammar-state.ts';
import { XgrammarState } from './grammar-state.ts';
import type { Xgrammar } from './xgrammar.ts';

/** A grammar that is ready to be followed, by any number of texts at once. */
export interface CompiledGrammar {
  start(): GrammarState;
}

export class KeptGrammar implements CompiledGrammar {
  readonly #xgrammar: Xgrammar;
  readonly #ebnf: string;
  #compiled: ReturnType<Xgrammar['compile']> | undefined;

  constructor(xgrammar: Xgrammar, ebnf: string) {
    this.#xgrammar = xgrammar;
    this.#ebnf = ebnf;
    this.#compiled = xgrammar.compile(ebnf);
  }

  get isDead(): boolean {
    return this.#xgrammar.isDead;
  }

  start(): GrammarState {
    const compiled = this.#compiled ?? this.#xgrammar.compile(this.#ebnf);
    const matcher = this.#xgrammar.match(compiled);
    if (this.#compiled === undefined) compiled.delete(); // the matcher holds what it needs
    return new XgrammarState(this.#xgrammar, matcher);
  }

  /** Frees the memory; texts that have started go on, and one that starts late compiles anew. */
  release(): void {
    if (!this.isDead) this.#compiled?.delete();
    this.#compiled = undefined;
  }
}
