import { describe, expect, it } from 'vitest';
import { createApiKey, readApiKey } from './api-key.ts';
import { authenticate, equalSecrets } from './authenticate.ts';
import { equalInConstantTime, toBase32 } from './encoding.ts';

const SECRETS = ['first-key-secret-of-at-least-32-characters'];
const ROTATED = ['second-key-secret-of-at-least-32-characters', ...SECRETS];

describe('API key', () => {
  it('is read back by the edge that made it, and its secret is not what is stored', async () => {
    const { text, keyId, secretHash } = await createApiKey(SECRETS);
    expect(text).toMatch(/^tdr_[0-9a-z]{16}_[0-9a-z]{32}_[0-9a-z]{16}$/);
    expect(await readApiKey(text, SECRETS)).toEqual({ keyId, secretHash });
    expect(text).not.toContain(secretHash);
    expect(secretHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is refused when any of its characters is another', async () => {
    const { text } = await createApiKey(SECRETS);
    for (let index = 0; index < text.length; index += 1) {
      const other = text[index] === 'x' ? 'y' : 'x';
      expect(await readApiKey(text.slice(0, index) + other + text.slice(index + 1), SECRETS)).toBeUndefined();
    }
  });

  it('is refused when it is cut, lengthened, or made by another edge', async () => {
    const { text } = await createApiKey(SECRETS);
    const foreign = await createApiKey(['a-secret-that-this-edge-does-not-have-']);
    for (const wrong of [
      '',
      'tdr',
      text.slice(0, -1),
      `${text}0`,
      text.toUpperCase(),
      ` ${text}`,
      foreign.text,
    ]) {
      expect(await readApiKey(wrong, SECRETS)).toBeUndefined();
    }
  });

  it('stays valid while its secret is rotated out, and not after', async () => {
    const { text } = await createApiKey(SECRETS);
    expect(await readApiKey(text, ROTATED)).toBeDefined();
    expect(await readApiKey(text, ROTATED.slice(0, 1))).toBeUndefined();
  });

  it('is never made twice', async () => {
    const keys = await Promise.all(Array.from({ length: 200 }, () => createApiKey(SECRETS)));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(200);
  });
});

describe('authentication', () => {
  it('tells a missing key from a wrong one', async () => {
    await expect(authenticate(undefined, SECRETS)).rejects.toMatchObject({ code: 'missing_api_key' });
    await expect(authenticate('', SECRETS)).rejects.toMatchObject({ code: 'missing_api_key' });
    for (const header of ['Bearer sk-made-up', 'Basic dXNlcg==', 'Bearer', 'Bearer a b']) {
      await expect(authenticate(header, SECRETS)).rejects.toMatchObject({ code: 'invalid_api_key' });
    }
  });

  it('takes the scheme in any case, as the standard has it', async () => {
    const { text, keyId } = await createApiKey(SECRETS);
    for (const header of [`Bearer ${text}`, `bearer ${text}`, `BEARER  ${text} `]) {
      expect((await authenticate(header, SECRETS)).keyId).toBe(keyId);
    }
  });

  it('takes no admin token for a key, nor a key for an admin token', async () => {
    const token = await createApiKey(SECRETS, 'tda');
    const key = await createApiKey(SECRETS);
    expect(await readApiKey(token.text, SECRETS)).toBeUndefined();
    expect(await readApiKey(key.text, SECRETS, 'tda')).toBeUndefined();
    expect(await readApiKey(token.text.replace('tda', 'tdr'), SECRETS)).toBeUndefined();
    expect(await readApiKey(token.text, SECRETS, 'tda')).toMatchObject({ keyId: token.keyId });
  });

  it('finds two secrets the same only if they are', async () => {
    const token = 'the-admin-token-of-at-least-32-characters';
    expect(await equalSecrets(token, token)).toBe(true);
    for (const wrong of ['', token.slice(0, -1), `${token}x`, token.replace('t', 'T')])
      expect(await equalSecrets(wrong, token)).toBe(false);
  });
});

describe('encoding', () => {
  it('writes the known base 32 of known bytes', () => {
    expect(toBase32(new Uint8Array([0, 0, 0, 0, 0]))).toBe('00000000');
    expect(toBase32(new Uint8Array([255, 255, 255, 255, 255]))).toBe('zzzzzzzz');
    expect(
      toBase32(new Uint8Array([0b00001_000, 0b10_00011_0, 0b0100_0010, 0b1_00110_00, 0b111_01000])),
    ).toBe('12345678');
  });

  it('finds two texts equal only if they are', () => {
    const texts = ['', 'a', 'b', 'aa', 'ab', 'aaa', 'é'];
    for (const one of texts) {
      for (const other of texts) expect(equalInConstantTime(one, other)).toBe(one === other);
    }
  });
});
