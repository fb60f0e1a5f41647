/** Which tokens may come next, as sampling sees a grammar. A token it refuses leaves it as it was. */
export interface GrammarState {
  /** One bit a token id (bit id & 31 of word id >> 5), undefined while everything is allowed; valid until the next call. */
  allowed(): Int32Array | undefined;
  accept(tokenId: number): boolean;
  rollback(numTokens: number): void;
  /** Only end tokens may follow. */
  readonly isComplete: boolean;
}
