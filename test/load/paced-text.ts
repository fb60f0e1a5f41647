import type { Tokenizer } from '../../gpu-backend/src/model/tokenizer.ts';

const TEXT = 'Ana has 7 bags of 6 apples and 5 loose apples. Seven times six is 42, and 5 more make 47. ';

/** What every text of a paced engine goes on repeating. */
export function pacedTokenIds(tokenizer: Tokenizer | undefined): number[] {
  if (tokenizer === undefined) throw new Error('the paced engine needs a model with a tokenizer');
  return [...tokenizer.encode(TEXT)];
}

/** So many tokens of it as text. */
export function pacedText(tokenizer: Tokenizer, numTokens: number): string {
  const tokenIds = pacedTokenIds(tokenizer);
  return tokenizer.decode(Array.from({ length: numTokens }, (_, at) => tokenIds[at % tokenIds.length] ?? 0));
}
