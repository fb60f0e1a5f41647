import type { ModelConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { AutomatonEngine } from './automaton/automaton-engine.ts';
import type { CompiledGrammar } from './compiled-grammar.ts';
import type { EngineGrammar, GrammarEngine } from './grammar-engine.ts';
import { readSpec, specKey } from './read-spec.ts';
import type { GrammarSpec } from './spec.ts';
import { vocabularyOf } from './vocabulary.ts';
import type { Vocabulary } from './vocabulary.ts';
import { XgrammarEngine } from './xgrammar/xgrammar-engine.ts';

/** Both allow the same texts; docs/structured-output.md says why the automaton is the default. */
export type GrammarEngineName = 'automaton' | 'xgrammar';

export interface GrammarCompilerOptions {
  /** Compiled grammars that are kept, the latest used. */
  readonly maxGrammars?: number;
  readonly engine?: GrammarEngineName;
}

const MAX_GRAMMARS = 64;

/** Compiles grammars for one model, on the calling thread, and keeps the latest used. */
export class GrammarCompiler {
  readonly #engine: GrammarEngine;
  readonly #maxGrammars: number;
  /** In order of use, the latest last. */
  readonly #kept = new Map<string, EngineGrammar>();

  static async create(
    tokenizer: Tokenizer,
    config: ModelConfig,
    options: GrammarCompilerOptions = {},
  ): Promise<GrammarCompiler> {
    return GrammarCompiler.forVocabulary(vocabularyOf(tokenizer, config), options);
  }

  static async forVocabulary(
    vocabulary: Vocabulary,
    { maxGrammars = MAX_GRAMMARS, engine = 'automaton' }: GrammarCompilerOptions = {},
  ): Promise<GrammarCompiler> {
    const made =
      engine === 'automaton' ? new AutomatonEngine(vocabulary) : await XgrammarEngine.open(vocabulary);
    return new GrammarCompiler(made, maxGrammars);
  }

  private constructor(engine: GrammarEngine, maxGrammars: number) {
    this.#engine = engine;
    this.#maxGrammars = maxGrammars;
  }

  get numKept(): number {
    return this.#kept.size;
  }

  async compile(spec: GrammarSpec): Promise<CompiledGrammar> {
    const key = specKey(spec);
    const known = this.#use(key);
    if (known !== undefined) return known;
    const grammar = await this.#engine.compile(readSpec(spec));
    this.#keep(key, grammar);
    return grammar;
  }

  #use(key: string): EngineGrammar | undefined {
    const grammar = this.#kept.get(key);
    if (grammar === undefined) return undefined;
    this.#kept.delete(key);
    if (grammar.isDead) return undefined;
    this.#kept.set(key, grammar);
    return grammar;
  }

  #keep(key: string, grammar: EngineGrammar): void {
    this.#kept.get(key)?.release(); // the same was compiled twice at once
    this.#kept.set(key, grammar);
    for (const [oldKey, oldest] of this.#kept) {
      if (this.#kept.size <= this.#maxGrammars) return;
      this.#kept.delete(oldKey);
      oldest.release();
    }
  }
}
