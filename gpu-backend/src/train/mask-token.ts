import { findTokenId } from '../model/tokenizer.ts';
import type { TokenizerJson } from '../model/tokenizer.ts';

/** The token that becomes the mask of a model that had none. */
export interface MaskToken {
  readonly id: number;
  /** For a person: why this one. */
  readonly origin: string;
}

const MASK_NAMES = ['<|mask|>', '<mask>', '[MASK]'];
/** Names of tokens that a tokenizer keeps for its users: Llama 3's and Gemma's. */
const RESERVED = /^<\|?(reserved|unused)/;

/**
 * A mask token that no text holds: the tokenizer's own, else one that it reserves, else an id that has a row but no
 * token (vocabularies are padded), else a new row at the vocabulary's end.
 */
export function chooseMaskToken(vocabSize: number, tokenizer: TokenizerJson | undefined): MaskToken {
  const newRow = { id: vocabSize, origin: 'a new row of the embeddings' };
  if (tokenizer === undefined) return newRow;
  for (const name of MASK_NAMES) {
    const id = findTokenId(tokenizer, name);
    if (id !== undefined) return { id, origin: `the tokenizer's ${name}` };
  }
  const reserved = tokenizer.added_tokens.find(({ content }) => RESERVED.test(content));
  if (reserved !== undefined) return { id: reserved.id, origin: `the reserved token ${reserved.content}` };
  const numTokens = numTokensOf(tokenizer);
  return numTokens < vocabSize ? { id: numTokens, origin: 'a row that has no token' } : newRow;
}

/** Every id of the tokenizer is below this. */
export function numTokensOf({ model, added_tokens: added }: TokenizerJson): number {
  let highest = -1;
  for (const id of Object.values(model.vocab)) highest = Math.max(highest, id);
  for (const { id } of added) highest = Math.max(highest, id);
  return highest + 1;
}
