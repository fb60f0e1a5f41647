import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hashTokenIds,
  LEASE_VERSION,
  type LeasePayload,
  parseLeaseSecrets,
  sha256Hex,
  signLease,
  verifyLease,
} from './lease.ts';
import { MAX_CHOICES } from './protocol.ts';

const SECRET = 'first-secret-of-at-least-32-characters';
const OTHER = 'second-secret-of-at-least-32-characters';
const NOW = 1_800_000_000_000;

const payload: LeasePayload = {
  version: LEASE_VERSION,
  purpose: 'generate',
  request_id: 'req_1',
  attempt: 0,
  choices: 2,
  tenant: 'ann',
  fingerprint: 'f00d',
  first_tokens: [0, 3],
  end_token: 256,
  backend: 'http://127.0.0.1:9000',
  request_hash: 'ab'.repeat(32),
  resume_hash: null,
  expires_at_ms: NOW + 1,
};

describe('lease', () => {
  it('gives back exactly what was signed', async () => {
    expect(await verifyLease(await signLease(payload, SECRET), [SECRET], NOW)).toEqual(payload);
  });

  it('is refused from the millisecond at which it expires', async () => {
    const token = await signLease(payload, SECRET);
    await expect(verifyLease(token, [SECRET], NOW + 1)).rejects.toMatchObject({ code: 'lease_expired' });
  });

  it('is refused when another secret signed it, also when it has expired', async () => {
    const token = await signLease(payload, OTHER);
    await expect(verifyLease(token, [SECRET], NOW + 1)).rejects.toMatchObject({ code: 'lease_invalid' });
  });

  it('is accepted by every secret of a rotation and by none that was taken out', async () => {
    for (const signer of [SECRET, OTHER]) {
      const token = await signLease(payload, signer);
      expect(await verifyLease(token, [SECRET, OTHER], NOW)).toEqual(payload);
    }
    const old = await signLease(payload, OTHER);
    await expect(verifyLease(old, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
  });

  it('is refused when any bit of it is flipped', async () => {
    const token = await signLease(payload, SECRET);
    for (let index = 0; index < token.length; index += 1) {
      for (let bit = 0; bit < 7; bit += 1) {
        const flipped = String.fromCharCode(token.charCodeAt(index) ^ (1 << bit));
        const forged = token.slice(0, index) + flipped + token.slice(index + 1);
        await expect(verifyLease(forged, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
      }
    }
  });

  it('has one spelling: the spare bits of its last character, padding and white space are refused', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const token = await signLease(payload, SECRET);
    const last = alphabet.indexOf(token.at(-1)!);
    // 32 bytes are 43 characters, the last of which has two bits to spare.
    const respelled = [1, 2, 3].map((spare) => token.slice(0, -1) + alphabet[last ^ spare]!);
    for (const forged of [...respelled, `${token}=`, `${token} `, ` ${token}`, `${token}\n`]) {
      await expect(verifyLease(forged, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
    }
  });

  it('is refused when a payload is put under the signature of another', async () => {
    const [, , mac] = (await signLease(payload, SECRET)).split('.');
    const [version, forged] = (await signLease({ ...payload, end_token: 1_000_000 }, OTHER)).split('.');
    const token = [version, forged, mac].join('.');
    await expect(verifyLease(token, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
  });

  it('of another version is refused by a sentence that names both', async () => {
    const token = (await signLease(payload, SECRET)).replace(`v${LEASE_VERSION}`, 'v2');
    await expect(verifyLease(token, [SECRET], NOW)).rejects.toMatchObject({
      code: 'lease_invalid',
      message: expect.stringMatching(new RegExp(`version 2;.*version ${LEASE_VERSION}`)),
    });
  });

  it.each([0, MAX_CHOICES + 1, 1.5])('cannot be signed for %d choices', async (choices) => {
    await expect(signLease({ ...payload, choices }, SECRET)).rejects.toThrow();
  });

  it('refuses any other text without a crash', async () => {
    const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.base64String());
    const parts = fc.array(anyText, { maxLength: 4 }).map((list) => ['v3', ...list].join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyText, parts), async (text) => {
        await expect(verifyLease(text, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
      }),
    );
  });
});

describe('lease secrets', () => {
  it('are read from a list in which the first signs', () => {
    expect(parseLeaseSecrets(`${SECRET}, ${OTHER}`)).toEqual([SECRET, OTHER]);
  });

  it('are refused when there is none or one is short', () => {
    expect(() => parseLeaseSecrets(' , ')).toThrow('at least one secret');
    expect(() => parseLeaseSecrets(`${SECRET},short`)).toThrow('32 characters');
  });
});

describe('hashes', () => {
  it('give the published SHA-256 of "abc"', async () => {
    expect(await sha256Hex(new TextEncoder().encode('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('tell token lists apart by order, by grouping and by choice', async () => {
    const lists = [
      [],
      [[]],
      [[1]],
      [[1, 2]],
      [[2, 1]],
      [[258]],
      [[1, 2, 0]],
      [[1], [2]],
      [[1, 2], []],
      [[], [1, 2]],
    ];
    const hashes = await Promise.all(lists.map(hashTokenIds));
    expect(new Set(hashes).size).toBe(lists.length);
  });
});
