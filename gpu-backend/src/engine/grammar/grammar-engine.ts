import type { CompiledGrammar } from './compiled-grammar.ts';
import type { Grammar } from './expression.ts';

/** A compiled grammar and the memory that it holds. */
export interface EngineGrammar extends CompiledGrammar {
  /** True where what ran it has broken down: no text can start any more. */
  readonly isDead: boolean;
  /** Frees what it can; texts that have started go on. */
  release(): void;
}

/** What follows grammars, for one vocabulary. */
export interface GrammarEngine {
  compile(grammar: Grammar): Promise<EngineGrammar>;
}
