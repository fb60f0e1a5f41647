import type { Grammar } from '../expression.ts';
import type { EngineGrammar, GrammarEngine } from '../grammar-engine.ts';
import type { GrammarState } from '../grammar-state.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { emit } from './emit.ts';
import { XgrammarState } from './xgrammar-state.ts';
import { Xgrammar } from './xgrammar.ts';

/** Follows grammars by xgrammar's wasm. When that is aborted, its texts fail, and the next grammar gets a new one. */
export class XgrammarEngine implements GrammarEngine {
  readonly #vocabulary: Vocabulary;
  #xgrammar: Promise<Xgrammar>;

  static async open(vocabulary: Vocabulary): Promise<XgrammarEngine> {
    return new XgrammarEngine(await Xgrammar.open(vocabulary));
  }

  private constructor(xgrammar: Xgrammar) {
    this.#vocabulary = xgrammar.vocabulary;
    this.#xgrammar = Promise.resolve(xgrammar);
  }

  async compile(grammar: Grammar): Promise<EngineGrammar> {
    const ebnf = emit(grammar);
    return new XgrammarGrammar(await this.#alive(), ebnf);
  }

  async #alive(): Promise<Xgrammar> {
    const current = this.#xgrammar;
    if (!(await current).isDead) return current;
    // Whoever noticed first has replaced it meanwhile.
    if (this.#xgrammar === current) this.#xgrammar = Xgrammar.open(this.#vocabulary);
    return this.#xgrammar;
  }
}

class XgrammarGrammar implements EngineGrammar {
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

  /** A text that starts later compiles it anew. */
  release(): void {
    if (!this.isDead) this.#compiled?.delete();
    this.#compiled = undefined;
  }
}
