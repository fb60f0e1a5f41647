import { createHash } from 'node:crypto';

/** Token ids as the journal keeps them: 32 bits each, little-endian. */
export function toBlob(tokenIds: readonly number[]): Uint8Array {
  const blob = new Uint8Array(tokenIds.length * 4);
  const view = new DataView(blob.buffer);
  tokenIds.forEach((tokenId, at) => view.setUint32(at * 4, tokenId, true));
  return blob;
}

export function fromBlob(blob: Uint8Array): number[] {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  return Array.from({ length: blob.byteLength / 4 }, (_, at) => view.getUint32(at * 4, true));
}

/** The same as shared `hashTokenIds`, at once. */
export function hashTokens(lists: readonly (readonly number[])[]): string {
  const hash = createHash('sha256');
  for (const tokenIds of lists) hash.update(toBlob([tokenIds.length, ...tokenIds]));
  return hash.digest('hex');
}
