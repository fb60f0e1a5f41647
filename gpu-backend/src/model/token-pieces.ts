import { TextDecoder } from 'node:util';
import { invalidFile } from './json-file.ts';

/** What a token stands for: raw bytes, which may be part of a character, or text of its own. */
export type TokenPiece = { type: 'bytes'; bytes: Uint8Array } | { type: 'text'; text: string };

/** How a tokenizer's decoder turns tokens into pieces and pieces into text. */
export interface PieceDecoder {
  toPiece(token: string): TokenPiece;
  /** How many spaces the decoder takes from the start of the whole text. */
  numLeadingSpacesStripped: number;
}

/** Turns token ids into text as they come; what it returned never changes. */
export interface TextStream {
  /** The characters that these ids complete: only whole ones, so possibly none. */
  push(ids: readonly number[]): string;
  /** What is left at the end: U+FFFD for a character that was never completed. */
  flush(): string;
}

/** GPT-2's table: the character that stands for each byte in a byte-level vocabulary. */
export const BYTE_SYMBOLS: readonly string[] = makeByteSymbols();

function makeByteSymbols(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let numShifted = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : 256 + numShifted++),
  );
}

const BYTE_OF_SYMBOL: ReadonlyMap<string, number> = new Map(
  BYTE_SYMBOLS.map((symbol, byte): [string, number] => [symbol, byte]),
);

function byteLevelPiece(token: string): TokenPiece {
  const bytes: number[] = [];
  for (const symbol of token) {
    const byte = BYTE_OF_SYMBOL.get(symbol);
    if (byte === undefined) return { type: 'text', text: token };
    bytes.push(byte);
  }
  return { type: 'bytes', bytes: Uint8Array.from(bytes) };
}

function byteFallbackPiece(token: string): TokenPiece {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  if (hex === undefined) return { type: 'text', text: token.replaceAll('▁', ' ') };
  return { type: 'bytes', bytes: Uint8Array.of(parseInt(hex, 16)) };
}

/** The decoder of Llama 1 and 2, as tokenizer.json writes it. */
const LLAMA_SEQUENCE = JSON.stringify([
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
  { type: 'Strip', content: ' ', start: 1, stop: 0 },
]);

/** Chooses the decoder that tokenizer.json asks for; refuses those that are not implemented by name. */
export function makePieceDecoder(decoder: unknown, fileName: string): PieceDecoder {
  const { type, decoders } = (decoder ?? {}) as { type?: unknown; decoders?: unknown };
  if (type === 'ByteLevel') return { toPiece: byteLevelPiece, numLeadingSpacesStripped: 0 };
  if (type === 'Sequence' && JSON.stringify(decoders) === LLAMA_SEQUENCE) {
    return { toPiece: byteFallbackPiece, numLeadingSpacesStripped: 1 };
  }
  throw invalidFile(
    fileName,
    `decoder is ${JSON.stringify(type ?? null)}, which is not implemented; supported: "ByteLevel", and Llama 2's ` +
      '"Sequence" of Replace, ByteFallback, Fuse and Strip.',
  );
}

/** What a token id stands for; one without a piece (special, unused) gives no text. */
export type PieceTable = (id: number) => TokenPiece | undefined;

export function makeTextStream(pieceOf: PieceTable, decoder: PieceDecoder): TextStream {
  const newUtf8Decoder = (): TextDecoder => new TextDecoder('utf-8', { ignoreBOM: true });
  let utf8 = newUtf8Decoder();
  let numSpacesToStrip = decoder.numLeadingSpacesStripped;

  const flushBytes = (): string => {
    const rest = utf8.decode();
    utf8 = newUtf8Decoder();
    return rest;
  };
  const decodePiece = (piece: TokenPiece): string =>
    piece.type === 'bytes' ? utf8.decode(piece.bytes, { stream: true }) : flushBytes() + piece.text;
  const strip = (text: string): string => {
    if (numSpacesToStrip === 0 || text === '') return text;
    const isSpace = text.startsWith(' ');
    numSpacesToStrip = isSpace ? numSpacesToStrip - 1 : 0;
    return isSpace ? strip(text.slice(1)) : text;
  };

  return {
    push: (ids) => {
      const known = ids.map(pieceOf).filter((piece) => piece !== undefined);
      return strip(known.map(decodePiece).join(''));
    },
    flush: () => strip(flushBytes()),
  };
}
