import type { ModelConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';

/** A model's tokens, as grammars see them. */
export interface Vocabulary {
  /** Width of the logits; ids without a token of the tokenizer are never legal. */
  readonly size: number;
  readonly endTokenIds: readonly number[];
  /** The bytes that a token stands for; undefined for special tokens and unused ids. */
  readonly bytesOf: (tokenId: number) => Uint8Array | undefined;
}

export function vocabularyOf(tokenizer: Tokenizer, config: ModelConfig): Vocabulary {
  return {
    size: config.vocabSize,
    endTokenIds: [...new Set([...config.eosTokenIds, ...tokenizer.eosTokenIds])],
    bytesOf: (tokenId) => tokenizer.bytesOf(tokenId),
  };
}
