import type { Grammar } from '../expression.ts';
import type { EngineGrammar, GrammarEngine } from '../grammar-engine.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { AutomatonGrammar } from './automaton-grammar.ts';
import { TokenTrie } from './token-trie.ts';

export class AutomatonEngine implements GrammarEngine {
  readonly #trie: TokenTrie;

  constructor(vocabulary: Vocabulary) {
    this.#trie = new TokenTrie(vocabulary);
  }

  async compile(grammar: Grammar): Promise<EngineGrammar> {
    return new AutomatonGrammar(grammar, this.#trie);
  }
}
