import { describe, expect, it } from 'vitest';
import { AttemptRegistry } from './attempts.ts';

describe('the registry of attempts', () => {
  it('lets each attempt of a request start once', () => {
    const attempts = new AttemptRegistry();
    const expiresAtMs = Date.now() + 60_000;
    attempts.assertNew('a', 0);
    attempts.add('a', 0, expiresAtMs);
    expect(() => attempts.assertNew('a', 0)).toThrow(/Attempt 0 of request a was started before/);
    attempts.assertNew('a', 1);
    attempts.assertNew('b', 0);
  });

  it('keeps apart ids that look like another attempt', () => {
    const attempts = new AttemptRegistry();
    attempts.add('0:a', 1, Date.now() + 60_000);
    expect(() => attempts.assertNew('a', 10)).not.toThrow();
    expect(() => attempts.assertNew('0:a', 0)).not.toThrow();
  });

  it('forgets what no lease can start any more, so that it does not grow for ever', () => {
    const attempts = new AttemptRegistry();
    attempts.add('kept', 0, Date.now() + 60_000);
    for (let index = 0; index < 5000; index++) attempts.add(`old ${index}`, 0, Date.now() - 1);
    expect(attempts.size).toBeLessThan(600);
    expect(() => attempts.assertNew('kept', 0)).toThrow();
  });
});
