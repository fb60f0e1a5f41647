import type { Grammar } from '../expression.ts';
import type { EngineGrammar } from '../grammar-engine.ts';
import type { GrammarState } from '../grammar-state.ts';
import type { AutomatonState } from './automaton.ts';
import { Automaton } from './automaton.ts';
import { grammarBytes } from '../vocabulary.ts';
import type { TokenTrie } from './token-trie.ts';

/** States after which texts that start begin a new automaton; a state is a few hundred bytes. */
const MAX_STATES = 20_000;
/** Bytes of kept masks of one automaton; then all are forgotten. */
const MAX_MASK_BYTES = 16_777_216;

/** A grammar that is followed by an automaton of its own, built where texts go and kept for the next ones. */
export class AutomatonGrammar implements EngineGrammar {
  readonly isDead = false;
  readonly #grammar: Grammar;
  readonly #trie: TokenTrie;
  #reader: Reader;

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.#grammar = grammar;
    this.#trie = trie;
    this.#reader = new Reader(grammar, trie);
  }

  start(): GrammarState {
    if (this.#reader.automaton.numStates > MAX_STATES) this.#reader = new Reader(this.#grammar, this.#trie);
    return new ReadText(this.#reader);
  }

  /** Nothing is held but by those who use it. */
  release(): void {}
}

/** An automaton and the masks of its states. */
class Reader {
  readonly automaton: Automaton;
  readonly trie: TokenTrie;
  readonly #masks = new Map<AutomatonState, Int32Array>();

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.automaton = new Automaton(grammar);
    this.trie = trie;
  }

  mask(state: AutomatonState): Int32Array {
    const known = this.#masks.get(state);
    if (known !== undefined) return known;
    const mask = this.trie.mask(this.automaton, state);
    if ((this.#masks.size + 1) * mask.byteLength > MAX_MASK_BYTES) this.#masks.clear();
    this.#masks.set(state, mask);
    return mask;
  }

  read(state: AutomatonState, bytes: Uint8Array): AutomatonState | null {
    let at: AutomatonState | null = state;
    for (let i = 0; i < bytes.length && at !== null; i++) at = this.automaton.step(at, bytes[i] ?? 0);
    return at;
  }
}

class ReadText implements GrammarState {
  readonly #reader: Reader;
  /** The state before the first token and after each; null after an end token. */
  readonly #history: (AutomatonState | null)[];

  constructor(reader: Reader) {
    this.#reader = reader;
    this.#history = [reader.automaton.start];
  }

  get #state(): AutomatonState | null {
    return this.#history.at(-1) ?? null;
  }

  allowed(): Int32Array {
    const state = this.#state;
    const { size } = this.#reader.trie.vocabulary;
    return state === null ? new Int32Array(Math.ceil(size / 32)) : this.#reader.mask(state);
  }

  accept(tokenId: number): boolean {
    const state = this.#state;
    if (state === null) return false;
    const { vocabulary } = this.#reader.trie;
    if (vocabulary.endTokenIds.includes(tokenId)) {
      if (state.canEnd) this.#history.push(null);
      return state.canEnd;
    }
    const bytes = grammarBytes(vocabulary, tokenId);
    const next = bytes === undefined ? null : this.#reader.read(state, bytes);
    if (next !== null) this.#history.push(next);
    return next !== null;
  }

  rollback(numTokens: number): void {
    const numAccepted = this.#history.length - 1;
    const isPossible = Number.isInteger(numTokens) && numTokens >= 0 && numTokens <= numAccepted;
    if (!isPossible)
      throw new RangeError(`can't take back ${numTokens} of ${numAccepted} tokens of a grammar`);
    this.#history.length -= numTokens;
  }

  /** Afterwards nothing is legal. */
  dispose(): void {
    this.#history.length = 0;
  }
}
