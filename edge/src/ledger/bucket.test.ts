import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bucket, type BucketAnswer, fullBucket, giveBack, take } from './bucket.ts';

const takeRequest = (bucket: Bucket, limit: number, nowMs: number): BucketAnswer =>
  take(bucket, limit, 1, nowMs);

/** Whether each of these calls is admitted. */
function admissions(perMinute: number, timesMs: readonly number[]): boolean[] {
  let bucket = fullBucket(perMinute, timesMs[0] ?? 0);
  return timesMs.map((nowMs) => {
    const answer = takeRequest(bucket, perMinute, nowMs);
    bucket = answer.bucket;
    return answer.admitted;
  });
}

const perMinute = fc.integer({ min: 1, max: 100_000 });
const steps = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 60 });
const timesOf = (gaps: readonly number[]): number[] => {
  let now = 1_800_000_000_000;
  return gaps.map((gap) => (now += gap));
};

describe('token bucket', () => {
  it('admits as many at once as its limit and then one for each refilled share', () => {
    const gaps = [0, 0, 0, 0, 20_000, 0, 19_999, 1];
    expect(admissions(3, timesOf(gaps))).toEqual([true, true, true, false, true, false, false, true]);
  });

  it('never admits more in any span than its limit and what flowed in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), steps, (limit, gaps) => {
        const times = timesOf(gaps);
        const admitted = times.filter((_, index) => admissions(limit, times)[index]);
        for (const [first, from] of admitted.entries()) {
          for (const [last, to] of admitted.entries()) {
            if (last < first) continue;
            expect(last - first + 1).toBeLessThanOrEqual(limit + ((to - from) * limit) / 60_000);
          }
        }
      }),
    );
  });

  it('refuses nobody while less was asked than its limit and what flowed in', () => {
    fc.assert(
      fc.property(perMinute, steps, (limit, gaps) => {
        const spread = gaps.map((gap) => gap + Math.ceil(60_000 / limit));
        expect(admissions(limit, timesOf(spread))).not.toContain(false);
      }),
    );
  });

  it('says to the millisecond when it will admit again', () => {
    fc.assert(
      fc.property(perMinute, steps, (limit, gaps) => {
        let bucket = fullBucket(limit, 0);
        for (const nowMs of timesOf(gaps)) {
          const answer = takeRequest(bucket, limit, nowMs);
          bucket = answer.bucket;
          if (answer.admitted) continue;
          expect(takeRequest(bucket, limit, nowMs + answer.retryAfterMs).admitted).toBe(true);
          expect(takeRequest(bucket, limit, nowMs + answer.retryAfterMs - 1).admitted).toBe(false);
        }
      }),
    );
  });

  it('is whole again when it said it would be, and stays in whole numbers', () => {
    fc.assert(
      fc.property(perMinute, fc.nat({ max: 200_000 }), (limit, elapsed) => {
        const emptied = takeRequest({ levelUnits: 60_000, updatedAtMs: 0 }, limit, 0);
        const later = takeRequest(emptied.bucket, limit, elapsed);
        expect(Number.isSafeInteger(later.bucket.levelUnits)).toBe(true);
        expect(takeRequest(emptied.bucket, limit, emptied.resetAfterMs).remaining).toBe(limit - 1);
      }),
    );
  });

  it('gives nothing for a clock that goes back', () => {
    const emptied = takeRequest({ levelUnits: 60_000, updatedAtMs: 100_000 }, 1, 100_000).bucket;
    const back = takeRequest(emptied, 1, 40_000);
    expect(back.admitted).toBe(false);
    expect(takeRequest(back.bucket, 1, 100_000).admitted).toBe(false);
    expect(takeRequest(back.bucket, 1, 160_000).admitted).toBe(true);
  });

  it('takes amounts as it would take as many single ones, all or nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat({ max: 60 }), (limit, amount) => {
        const full = fullBucket(limit, 0);
        const answer = take(full, limit, amount, 0);
        expect(answer.admitted).toBe(amount <= limit);
        expect(answer.remaining).toBe(amount <= limit ? limit - amount : limit);
      }),
    );
  });

  it('takes back what was not used, and is then as if it had never been taken, but never more than full', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.nat({ max: 50 }),
        fc.nat({ max: 90 }),
        (limit, used, extra) => {
          const amount = Math.min(used, limit);
          const taken = take(fullBucket(limit, 0), limit, amount, 0).bucket;
          expect(giveBack(taken, limit, amount, 0)).toEqual(fullBucket(limit, 0));
          expect(giveBack(taken, limit, amount + extra, 0)).toEqual(fullBucket(limit, 0));
        },
      ),
    );
  });
});
