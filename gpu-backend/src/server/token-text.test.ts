import { describe, expect, it } from 'vitest';
import { loadTiny } from '../model/testing/tiny-tokenizer.ts';
import { describeLogprob } from './token-text.ts';

const END = 259;
const alone = (tokenId: number, logprob = -1): object =>
  describeLogprob({ tokenId, logprob, top: [] }, loadTiny());

describe('a token in an answer', () => {
  it('comes with its text, its bytes, and those of the likeliest ones', () => {
    const tokenizer = loadTiny();
    const [id = 0] = tokenizer.encode(' the');
    const [other = 0] = tokenizer.encode('a');
    const logprob = { tokenId: id, logprob: -0.5, top: [{ tokenId: other, logprob: -0.25 }] };
    expect(describeLogprob(logprob, tokenizer)).toEqual({
      token_id: id,
      token: ' the',
      bytes: [32, 116, 104, 101],
      logprob: -0.5,
      top: [{ token_id: other, token: 'a', bytes: [97], logprob: -0.25 }],
    });
  });

  it('that is a part of a character is spelled by its bytes', () => {
    const parts = loadTiny()
      .encode('€')
      .map((id) => alone(id));
    expect(parts).toMatchObject([
      { token: 'bytes:\\xe2', bytes: [0xe2] },
      { token: 'bytes:\\x82', bytes: [0x82] },
      { token: 'bytes:\\xac', bytes: [0xac] },
    ]);
  });

  it('that stands for no text has a name and no bytes', () => {
    expect(alone(END)).toMatchObject({ token: '<|end|>', bytes: null });
    expect(alone(299)).toMatchObject({ token: 'token_id:299', bytes: null });
    expect(describeLogprob({ tokenId: 5, logprob: -1, top: [] }, undefined)).toMatchObject({
      token: 'token_id:5',
      bytes: null,
    });
  });

  it('that is impossible has a number that JSON can carry', () => {
    expect(alone(5, -Infinity)).toMatchObject({ logprob: -9999 });
  });
});
