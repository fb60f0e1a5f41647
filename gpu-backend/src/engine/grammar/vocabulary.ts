import type { ModelConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';

/** A model's tokens, as grammars see them. */
export interface Vocabulary {
  /** Width of the logits; ids without a token of the tokenizer are never legal. */
  readonly size: number;
  readonly endTokenIds: readonly number[];
  /** The bytes that a token stands for; undefined for special tokens and unused ids. */
  readonly bytesOf: (tokenId: number) => Uint8Array | undefined;
  /** What a special token is called; absent: grammars know of none. */
  readonly specialName?: (tokenId: number) => string | undefined;
}

export function vocabularyOf(tokenizer: Tokenizer, config: ModelConfig): Vocabulary {
  return {
    size: config.vocabSize,
    endTokenIds: [...new Set([...config.eosTokenIds, ...tokenizer.eosTokenIds])],
    bytesOf: (tokenId) => tokenizer.bytesOf(tokenId),
    specialName: (tokenId) => tokenizer.specialName(tokenId),
  };
}

/** No character has a byte from here on. */
const FIRST_STRANGE = 0xf5;
const SPECIAL = 0xff;

/** A special token among bytes: its name between two that no text has, so that nothing else can be read as it. */
export function specialBytes(name: string): number[] {
  return [SPECIAL, ...new TextEncoder().encode(name), SPECIAL];
}

/** What a token is to a grammar that is read byte by byte; undefined where it can be no part of any text. */
export function grammarBytes({ bytesOf, specialName }: Vocabulary, tokenId: number): Uint8Array | undefined {
  const name = specialName?.(tokenId);
  if (name !== undefined) return Uint8Array.from(specialBytes(name));
  const bytes = bytesOf(tokenId);
  return bytes === undefined || bytes.length === 0 || bytes.some((byte) => byte >= FIRST_STRANGE)
    ? undefined
    : bytes;
}
