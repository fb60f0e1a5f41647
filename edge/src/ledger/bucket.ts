/**
 * A token bucket in whole numbers: it holds `perMinute` of what it counts, and as many flow in evenly over a minute.
 * Its level is kept in units of 1/60,000, so that a millisecond adds exactly `perMinute` units.
 */
export interface Bucket {
  levelUnits: number;
  updatedAtMs: number;
}

export interface BucketAnswer {
  admitted: boolean;
  bucket: Bucket;
  /** How many could still be taken at once. */
  remaining: number;
  /** Until the same amount would be admitted once more; 0 if it would be now. */
  retryAfterMs: number;
  /** Until the bucket is full again. */
  resetAfterMs: number;
}

const UNITS_PER_ITEM = 60_000;

export function fullBucket(perMinute: number, nowMs: number): Bucket {
  return { levelUnits: perMinute * UNITS_PER_ITEM, updatedAtMs: nowMs };
}

/** Takes an amount out, if there is so much. A clock that goes back adds nothing and takes nothing. */
export function take(bucket: Bucket, perMinute: number, amount: number, nowMs: number): BucketAnswer {
  const filled = fill(bucket, perMinute, nowMs);
  const amountUnits = amount * UNITS_PER_ITEM;
  const admitted = filled.levelUnits >= amountUnits;
  const levelUnits = admitted ? filled.levelUnits - amountUnits : filled.levelUnits;
  const missingUnits = Math.max(0, amountUnits - levelUnits);
  return {
    admitted,
    bucket: { ...filled, levelUnits },
    remaining: Math.floor(levelUnits / UNITS_PER_ITEM),
    retryAfterMs: Math.ceil(missingUnits / perMinute),
    resetAfterMs: Math.ceil((perMinute * UNITS_PER_ITEM - levelUnits) / perMinute),
  };
}

/** Puts back what was taken and not used; a bucket never holds more than a minute's worth. */
export function giveBack(bucket: Bucket, perMinute: number, amount: number, nowMs: number): Bucket {
  const filled = fill(bucket, perMinute, nowMs);
  const levelUnits = Math.min(perMinute * UNITS_PER_ITEM, filled.levelUnits + amount * UNITS_PER_ITEM);
  return { ...filled, levelUnits };
}

function fill(bucket: Bucket, perMinute: number, nowMs: number): Bucket {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedAtMs);
  const levelUnits = Math.min(perMinute * UNITS_PER_ITEM, bucket.levelUnits + elapsedMs * perMinute);
  return { levelUnits, updatedAtMs: Math.max(nowMs, bucket.updatedAtMs) };
}
