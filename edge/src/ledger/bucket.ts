/**
 * A token bucket in whole numbers: it holds `perMinute` requests, and as many flow in evenly over a minute.
 * Its level is kept in units of 1/60,000 request, so that a millisecond adds exactly `perMinute` units.
 */
export interface Bucket {
  levelUnits: number;
  updatedAtMs: number;
}

export interface BucketAnswer {
  admitted: boolean;
  bucket: Bucket;
  /** Whole requests that could still be admitted at once. */
  remaining: number;
  /** Until the next request would be admitted; 0 if it would be now. */
  retryAfterMs: number;
  /** Until the bucket is full again. */
  resetAfterMs: number;
}

const UNITS_PER_REQUEST = 60_000;

export function fullBucket(perMinute: number, nowMs: number): Bucket {
  return { levelUnits: perMinute * UNITS_PER_REQUEST, updatedAtMs: nowMs };
}

/** Takes one request out, if there is one. A clock that goes back adds nothing and takes nothing. */
export function takeRequest(bucket: Bucket, perMinute: number, nowMs: number): BucketAnswer {
  const capacityUnits = perMinute * UNITS_PER_REQUEST;
  const elapsedMs = Math.max(0, nowMs - bucket.updatedAtMs);
  const filledUnits = Math.min(capacityUnits, bucket.levelUnits + elapsedMs * perMinute);
  const admitted = filledUnits >= UNITS_PER_REQUEST;
  const levelUnits = admitted ? filledUnits - UNITS_PER_REQUEST : filledUnits;
  const missingUnits = Math.max(0, UNITS_PER_REQUEST - levelUnits);
  return {
    admitted,
    bucket: { levelUnits, updatedAtMs: Math.max(nowMs, bucket.updatedAtMs) },
    remaining: Math.floor(levelUnits / UNITS_PER_REQUEST),
    retryAfterMs: Math.ceil(missingUnits / perMinute),
    resetAfterMs: Math.ceil((capacityUnits - levelUnits) / perMinute),
  };
}
