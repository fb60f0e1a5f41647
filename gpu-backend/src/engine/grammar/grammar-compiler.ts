import type { ModelConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import type { CompiledGrammar } from './compiled-grammar.ts';
import { KeptGrammar } from './compiled-grammar.ts';
import type { GrammarSpec } from './spec.ts';
import { specKey, toEbnf } from './spec-to-ebnf.ts';
import type { Vocabulary } from './xgrammar.ts';
import { Xgrammar } from './xgrammar.ts';

export interface GrammarCompilerOptions {
  /** Compiled grammars that are kept, the latest used. */
  readonly maxGrammars?: number;
}

const MAX_GRAMMARS = 64;

/** Compiles grammars for one model, on the calling thread, and keeps the latest used. */
export class GrammarCompiler {
  readonly #vocabulary: Vocabulary;
  readonly #maxGrammars: number;
  /** In order of use, the latest last. */
  readonly #kept = new Map<string, KeptGrammar>();
  #xgrammar: Promise<Xgrammar>;

  static async create(
    tokenizer: Tokenizer,
    config: ModelConfig,
    options: GrammarCompilerOptions = {},
  ): Promise<GrammarCompiler> {
    const endTokenIds = [...new Set([...config.eosTokenIds, ...tokenizer.eosTokenIds])];
    const vocabulary: Vocabulary = {
      size: config.vocabSize,
      endTokenIds,
      bytesOf: (tokenId) => tokenizer.bytesOf(tokenId),
    };
    return GrammarCompiler.forVocabulary(vocabulary, options);
  }

  static async forVocabulary(
    vocabulary: Vocabulary,
    { maxGrammars = MAX_GRAMMARS }: GrammarCompilerOptions = {},
  ): Promise<GrammarCompiler> {
    const xgrammar = await Xgrammar.open(vocabulary);
    return new GrammarCompiler(xgrammar, maxGrammars);
  }

  private constructor(xgrammar: Xgrammar, maxGrammars: number) {
    this.#vocabulary = xgrammar.vocabulary;
    this.#maxGrammars = maxGrammars;
    this.#xgrammar = Promise.resolve(xgrammar);
  }

  get numKept(): number {
    return this.#kept.size;
  }

  async compile(spec: GrammarSpec): Promise<CompiledGrammar> {
    const key = specKey(spec);
    const known = this.#use(key);
    if (known !== undefined) return known;
    const ebnf = toEbnf(spec);
    const xgrammar = await this.#alive();
    const grammar = this.#use(key) ?? new KeptGrammar(xgrammar, ebnf);
    this.#keep(key, grammar);
    return grammar;
  }

  #use(key: string): KeptGrammar | undefined {
    const grammar = this.#kept.get(key);
    if (grammar === undefined) return undefined;
    this.#kept.delete(key);
    if (grammar.isDead) return undefined;
    this.#kept.set(key, grammar);
    return grammar;
  }

  #keep(key: string, grammar: KeptGrammar): void {
    this.#kept.set(key, grammar);
    for (const [oldKey, oldest] of this.#kept) {
      if (this.#kept.size <= this.#maxGrammars) return;
      this.#kept.delete(oldKey);
      oldest.release();
    }
  }

  /** The wasm instance, or a new one where the last was aborted. */
  async #alive(): Promise<Xgrammar> {
    const xgrammar = await this.#xgrammar;
    if (!xgrammar.isDead) return xgrammar;
    const replaced = this.#replacing ?? this.#replace();
    this.#replacing = replaced;
    return replaced;
  }
  #replacing: Promise<Xgrammar> | undefined;

  async #replace(): Promise<Xgrammar> {
    try {
      this.#xgrammar = Xgrammar.open(this.#vocabulary);
      return await this.#xgrammar;
    } finally {
      this.#replacing = undefined;
    }
  }
}
