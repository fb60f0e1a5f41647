import { hashTokenIds, type LeasePayload } from '@tidar/shared/lease.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import { describe, expect, it } from 'vitest';
import { checkLeaseCovers } from './lease-gate.ts';

const resume = { prompt_token_ids: [1], token_ids: [[4, 5], [6]] };

const requestOf = (changes: object = {}): GenerateRequest =>
  parse(generateRequestSchema, {
    request_id: 'r',
    model: 'm',
    input: { type: 'tokens', token_ids: [1] },
    num_choices: 2,
    sampling: { seed: '1' },
    decoder: { type: 'ar' },
    ...changes,
  });
const leaseOf = (changes: Partial<LeasePayload> = {}): LeasePayload =>
  ({
    request_id: 'r',
    choices: 2,
    first_tokens: [0, 0],
    end_token: 10,
    resume_hash: null,
    ...changes,
  }) as LeasePayload;

describe('a lease covers', () => {
  it('a request of as many choices, from their first tokens on', async () => {
    await expect(checkLeaseCovers(leaseOf(), requestOf())).resolves.toBeUndefined();
    const resumed = leaseOf({ first_tokens: [2, 1], resume_hash: await hashTokenIds(resume.token_ids) });
    await expect(checkLeaseCovers(resumed, requestOf({ resume }))).resolves.toBeUndefined();
  });

  it.each<[string, Partial<LeasePayload>, object]>([
    ['another request', { request_id: 's' }, {}],
    ['more choices than it grants', { choices: 1, first_tokens: [0] }, {}],
    ['fewer choices than it grants', { choices: 3, first_tokens: [0, 0, 0] }, {}],
    ['tokens that it does not begin at', { first_tokens: [0, 1] }, {}],
    ['another number of first tokens', { first_tokens: [0] }, {}],
    ['resumed tokens without their hash', { first_tokens: [2, 1] }, { resume }],
    ['no token', { end_token: 0 }, {}],
  ])('not %s', async (_, changes, request) => {
    await expect(checkLeaseCovers(leaseOf(changes), requestOf(request))).rejects.toMatchObject({
      code: 'lease_invalid',
    });
  });

  it('not the resumed tokens of choices in another order, or beyond its end', async () => {
    const hash = await hashTokenIds([[6], [4, 5]]);
    await expect(
      checkLeaseCovers(leaseOf({ first_tokens: [2, 1], resume_hash: hash }), requestOf({ resume })),
    ).rejects.toMatchObject({ code: 'lease_invalid' });
    const short = leaseOf({
      first_tokens: [2, 1],
      end_token: 1,
      resume_hash: await hashTokenIds(resume.token_ids),
    });
    await expect(checkLeaseCovers(short, requestOf({ resume }))).rejects.toMatchObject({
      code: 'lease_invalid',
    });
  });
});
