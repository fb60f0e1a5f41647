import { findKey } from './key.ts';
import type { RequestRecord } from './types.ts';
import type { Sql } from '../sql.ts';

/** What a data point may be: https://developers.cloudflare.com/analytics/analytics-engine/limits/ */
const MAX_INDEX_BYTES = 96;
const MAX_BLOB_BYTES = 1024;

/** What a dataset of Analytics Engine takes. */
export interface DataPoint {
  indexes: [string];
  blobs: string[];
  doubles: number[];
}

/**
 * A bill as a data point, in the order that docs/observability.md tells. Where a bill replaces an estimated one it is what
 * has changed, so that sums come out right, and its first number says that it is no request more.
 */
export function usageEvent(
  keyId: string,
  after: RequestRecord,
  before: RequestRecord | undefined,
): DataPoint {
  const wasBilled = before?.state === 'settled';
  const change = (of: (record: RequestRecord) => number): number =>
    of(after) - (wasBilled && before !== undefined ? of(before) : 0);
  const { id, model, fingerprint, finish_reason: reason, estimated } = after;
  const blobs = [model, reason ?? '', estimated ? 'estimated' : 'exact', fingerprint ?? '', id];
  return {
    indexes: [within(keyId, MAX_INDEX_BYTES)],
    blobs: blobs.map((text) => within(text, MAX_BLOB_BYTES)),
    doubles: [
      wasBilled ? 0 : 1,
      change((record) => record.prompt_tokens),
      change((record) => record.cached_tokens),
      change((record) => record.completion_tokens),
      change((record) => record.num_forward_passes),
      change((record) => record.cost_nanos),
      change((record) => record.rule_loss_tokens),
      after.num_attempts,
      (after.settled_ms ?? after.created_ms) - after.created_ms,
    ],
  };
}

/** Tells the dataset, where one is bound, of a bill that was written just now. It is sampled: the ledger is the truth. */
export function sendUsageEvent(
  dataset: { writeDataPoint(point: DataPoint): void } | undefined,
  sql: Sql,
  after: RequestRecord | undefined,
  before: RequestRecord | undefined,
): void {
  if (dataset === undefined || after === undefined) return;
  dataset.writeDataPoint(usageEvent(findKey(sql)?.keyId ?? '', after, before));
}

/** As much of a text as so many bytes hold. */
function within(text: string, maxBytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes));
  return text.slice(0, read);
}
