const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BITS = 5;

/** Bytes in Crockford's base 32, lower case; 5 bytes make 8 characters. */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let numBits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    for (numBits += 8; numBits >= BITS; numBits -= BITS) text += ALPHABET[(buffer >> (numBits - BITS)) & 31];
    buffer &= (1 << numBits) - 1;
  }
  return numBits === 0 ? text : text + ALPHABET[(buffer << (BITS - numBits)) & 31];
}

export function randomBase32(numBytes: number): string {
  return toBase32(crypto.getRandomValues(new Uint8Array(numBytes)));
}

/** Compares in a time that depends on the lengths alone. */
export function equalInConstantTime(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < one.length; index += 1) {
    difference |= one.charCodeAt(index) ^ other.charCodeAt(index % Math.max(other.length, 1));
  }
  return difference === 0;
}
