import { fileURLToPath } from 'node:url';
import { parseModelConfig } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import { readJson } from '../../model/json-file.ts';
import { loadTokenizer } from '../../model/tokenizer-files.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import type { GrammarState } from './grammar-state.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Uniform numbers of [0, 1) from a seed. */
export function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Words such as vocabularies hold: all bytes, then words of mostly small letters, some with marks or Chinese characters. */
export function syntheticVocabulary(size: number): Vocabulary {
  const random = makeRandom(1);
  const pick = (count: number): number => Math.floor(random() * count);
  const common = 'etaoinshrdlcumwfgypbvk';
  const rare = 'ETAOINSHRDLC0123456789.,-_:;"\'{}[]()<>/\\\n ';
  const drawChar = (): string => {
    if (pick(40) === 0) return String.fromCodePoint(0x4e00 + pick(20_000));
    return pick(7) === 0 ? rare.charAt(pick(rare.length)) : common.charAt(pick(common.length));
  };
  const words = new Set<string>();
  while (words.size < size - 258) {
    words.add(`${pick(2) === 0 ? '' : ' '}${Array.from({ length: 2 + pick(8) }, drawChar).join('')}`);
  }
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const tokens = [...bytes, ...[...words].map((word) => new TextEncoder().encode(word))];
  return { size, endTokenIds: [size - 1], bytesOf: (tokenId) => tokens[tokenId] };
}

/** The ids whose bit is set. */
export function idsOf(mask: Int32Array | undefined, vocabSize: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < vocabSize; id++) if ((((mask?.[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1) ids.push(id);
  return ids;
}

/** Whether a grammar takes these tokens, one by one, and may end after them. */
export function takes(state: GrammarState, tokenIds: readonly number[], endTokenId: number): boolean {
  const isTaken = [...tokenIds, endTokenId].every((tokenId) => state.accept(tokenId));
  state.dispose();
  return isTaken;
}

const DEMO_FOLDER = fileURLToPath(new URL('../../../models/demo', import.meta.url));

/** The demo model's tokenizer, without its weights. */
export function demoTokenizer(): { tokenizer: Tokenizer; config: ModelConfig } {
  const config = parseModelConfig(readJson(DEMO_FOLDER, 'config.json'), 'config.json');
  const tokenizer = loadTokenizer(DEMO_FOLDER, config);
  if (tokenizer === undefined) throw new Error('the demo model has no tokenizer');
  return { tokenizer, config };
}

/** Every byte a token, and 256 the end: texts token by token without a tokenizer. */
export const BYTE_VOCABULARY: Vocabulary = {
  size: 257,
  endTokenIds: [256],
  bytesOf: (tokenId) => (tokenId < 256 ? Uint8Array.of(tokenId) : undefined),
};

/** Whether a grammar takes exactly this text. */
export function takesText(state: GrammarState, text: string): boolean {
  return takes(state, [...new TextEncoder().encode(text)], 256);
}

/** Draws legal tokens at random until an end token; one that may end mostly does after `numTokens`. */
export function drawTokens(
  state: GrammarState,
  vocabulary: Vocabulary,
  random: () => number,
  numTokens: number,
): number[] {
  const drawn: number[] = [];
  while (drawn.length < 5_000) {
    const legal = idsOf(state.allowed(), vocabulary.size);
    const ends = legal.filter((id) => vocabulary.endTokenIds.includes(id));
    // Past its length a text closes what is open.
    const closing = legal.filter((id) => CLOSING.has(String.fromCharCode(...(vocabulary.bytesOf(id) ?? []))));
    const isLong = drawn.length >= numTokens;
    const pool = isLong && ends.length > 0 ? ends : isLong && closing.length > 0 ? closing : legal;
    const tokenId = pool[Math.floor(random() * pool.length)];
    if (tokenId === undefined) throw new Error(`nothing is legal after ${drawn.length} tokens`);
    if (!state.accept(tokenId)) throw new Error(`token ${tokenId} is in the mask, but is not accepted`);
    if (vocabulary.endTokenIds.includes(tokenId)) return drawn;
    drawn.push(tokenId);
  }
  throw new Error('the text did not end');
}
const CLOSING = new Set(['"', '}', ']']);
