import type { GrammarState } from './grammar-state.ts';

/** A grammar that is ready to be followed, by any number of texts at once. */
export interface CompiledGrammar {
  start(): GrammarState;
}
