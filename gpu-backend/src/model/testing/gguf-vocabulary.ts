/** What a GGUF file says of its vocabulary: merges of a byte-level one, scores of SentencePiece's. */
export interface GgufVocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly merges: readonly string[];
  readonly scores: readonly number[];
}

/** By the format's specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
export function readGgufVocabulary(bytes: Buffer): GgufVocabulary {
  const metadata = readMetadata(bytes);
  return {
    tokens: metadata.get('tokenizer.ggml.tokens') as string[],
    types: metadata.get('tokenizer.ggml.token_type') as number[],
    merges: (metadata.get('tokenizer.ggml.merges') ?? []) as string[],
    scores: (metadata.get('tokenizer.ggml.scores') ?? []) as number[],
  };
}

/** Bytes of a number of each type, and how it is read; 8 and 9 are texts and lists. */
const NUMBERS: Readonly<Record<number, readonly [number, (bytes: Buffer, at: number) => unknown]>> = {
  0: [1, (bytes, at) => bytes[at]],
  4: [4, (bytes, at) => bytes.readUInt32LE(at)],
  5: [4, (bytes, at) => bytes.readInt32LE(at)],
  6: [4, (bytes, at) => bytes.readFloatLE(at)],
  7: [1, (bytes, at) => bytes[at] === 1],
  10: [8, (bytes, at) => Number(bytes.readBigUInt64LE(at))],
};

function readMetadata(bytes: Buffer): Map<string, unknown> {
  let at = 16; // magic, version, number of tensors
  const count = (): number => {
    at += 8;
    return Number(bytes.readBigUInt64LE(at - 8));
  };
  const type = (): number => {
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const text = (): string => {
    const length = count();
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const value = (kind: number): unknown => {
    if (kind === 8) return text();
    if (kind === 9) {
      const element = type();
      return Array.from({ length: count() }, () => value(element));
    }
    const [numBytes, read] = NUMBERS[kind] ?? [0, () => undefined];
    if (numBytes === 0) throw new RangeError(`a value of the unknown type ${kind}`);
    at += numBytes;
    return read(bytes, at - numBytes);
  };
  return new Map(Array.from({ length: count() }, () => [text(), value(type())] as const));
}
