import type { TokenLogprob } from '../sampling/logprobs.ts';

export const MASK = -1;

/** A block of masks on its way to tokens. */
export class Block {
  /** Position of its first token. */
  readonly start: number;
  /** MASK where none is fixed yet. */
  readonly tokenIds: number[];
  /** Of fixed tokens, where they are asked for. */
  readonly logprobs: (TokenLogprob | undefined)[] = [];

  constructor(start: number, length: number) {
    this.start = start;
    this.tokenIds = Array<number>(length).fill(MASK);
  }

  get isFull(): boolean {
    return !this.tokenIds.includes(MASK);
  }

  get numMasks(): number {
    return this.tokenIds.reduce((total, tokenId) => total + (tokenId === MASK ? 1 : 0), 0);
  }

  /** Offsets of the masks that may become tokens: none behind an end of the text. */
  openMasks(endTokenIds: ReadonlySet<number>): number[] {
    const end = this.tokenIds.findIndex((tokenId) => endTokenIds.has(tokenId));
    const known = end < 0 ? this.tokenIds : this.tokenIds.slice(0, end);
    return known.flatMap((tokenId, offset) => (tokenId === MASK ? [offset] : []));
  }

  fix(offset: number, tokenId: number, logprob: TokenLogprob | undefined): void {
    this.tokenIds[offset] = tokenId;
    this.logprobs[offset] = logprob;
  }
}
