/**
 * How often each token came, in the completion and whether in the prompt: what penalties look at. Tokens are pushed
 * and popped as drafts are assumed and taken back; a pop undoes its push exactly.
 */
export class TokenHistory {
  /** Distinct tokens with a count or in the prompt, in no order; entry i of the other two belongs to tokenIds[i]. */
  readonly tokenIds: number[] = [];
  readonly #counts: number[] = [];
  readonly #isInPrompt: boolean[] = [];
  readonly #entries = new Map<number, number>();
  readonly #pushed: number[] = [];

  constructor(promptIds: readonly number[]) {
    for (const tokenId of promptIds) if (!this.#entries.has(tokenId)) this.#add(tokenId, 0, true);
  }

  /** How often the completion holds the token; -1 where it came in neither prompt nor completion. */
  count(tokenId: number): number {
    const entry = this.#entries.get(tokenId);
    return entry === undefined ? -1 : (this.#counts[entry] ?? 0);
  }

  push(tokenId: number): void {
    this.#pushed.push(tokenId);
    const entry = this.#entries.get(tokenId);
    if (entry === undefined) this.#add(tokenId, 1, false);
    else this.#counts[entry] = (this.#counts[entry] ?? 0) + 1;
  }

  pop(): void {
    const tokenId = this.#pushed.pop();
    const entry = tokenId === undefined ? undefined : this.#entries.get(tokenId);
    if (tokenId === undefined || entry === undefined) throw new RangeError('no pushed token to take back');
    const count = (this.#counts[entry] ?? 0) - 1;
    this.#counts[entry] = count;
    if (count === 0 && this.#isInPrompt[entry] === false) this.#remove(entry, tokenId);
  }

  #add(tokenId: number, count: number, isInPrompt: boolean): void {
    this.#entries.set(tokenId, this.tokenIds.length);
    this.tokenIds.push(tokenId);
    this.#counts.push(count);
    this.#isInPrompt.push(isInPrompt);
  }

  /** The last entry takes the place of the removed one. */
  #remove(entry: number, tokenId: number): void {
    const lastId = this.tokenIds.pop() ?? tokenId;
    const lastCount = this.#counts.pop() ?? 0;
    const lastInPrompt = this.#isInPrompt.pop() ?? false;
    this.#entries.delete(tokenId);
    if (lastId === tokenId) return;
    this.tokenIds[entry] = lastId;
    this.#counts[entry] = lastCount;
    this.#isInPrompt[entry] = lastInPrompt;
    this.#entries.set(lastId, entry);
  }
}
