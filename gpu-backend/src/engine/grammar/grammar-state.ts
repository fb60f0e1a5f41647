/** Where a text stands in its grammar. The engine pushes tokens, assumed or decided, and takes back what it assumed. */
export interface GrammarState {
  /** One bit a token id (bit id & 31 of word id >> 5), undefined while everything is allowed; valid until the next call. */
  allowed(): Int32Array | undefined;
  /** False, and nothing changes, if the token is illegal here. */
  accept(tokenId: number): boolean;
  rollback(numTokens: number): void;
  dispose(): void;
}
