import type { ErrorObject } from '@tidar/shared/errors.ts';

/** How a request ended, as the bill states it. */
export type BillReason = 'stop' | 'length' | 'cancelled' | 'error' | 'abandoned';

export interface NewKey {
  keyId: string;
  name?: string;
  secretHash: string;
  requestsPerMinute: number;
}

export interface NewRequest {
  requestId: string;
  secretHash: string;
  model: string;
  /** No more than this can be billed for it. */
  holdTokens: number;
  graceMs: number;
  user?: string;
  metadata?: Record<string, string>;
}

/** Counts only ever rise while a request is open. */
export interface TokenCounts {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  numForwardPasses: number;
}

/** What is known of an open request by now. */
export interface Report extends TokenCounts {
  /** What it can cost at most; a hold only ever shrinks. */
  holdTokens: number;
  /** How long the ledger waits for the next report. */
  graceMs: number;
}

export interface Settlement extends TokenCounts {
  finishReason: BillReason;
  /** The counts are what was proven delivered, not the backend's own total. */
  estimated: boolean;
}

export interface RateLimit {
  limit: number;
  remaining: number;
  retryAfterMs: number;
  resetAfterMs: number;
}

/** Errors are values here: what is thrown across a Durable Object's border loses its class. */
export type Admission =
  { admitted: true; rateLimit: RateLimit } | { admitted: false; error: ErrorObject; rateLimit?: RateLimit };

export interface UsageCounts {
  num_requests: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
}

/** The answer of `GET /v1/usage`. */
export interface UsageReport {
  object: 'usage';
  key: { id: string; name: string | null; requests_per_minute: number; created: number };
  total: UsageCounts;
  /** What the open requests may still cost at most. */
  held_tokens: number;
  days: (UsageCounts & { day: string; model: string })[];
  requests: RequestRecord[];
}

export interface RequestRecord {
  id: string;
  model: string;
  created_ms: number;
  state: 'open' | 'settled';
  finish_reason: string | null;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  estimated: boolean;
  user: string | null;
  metadata: Record<string, string> | null;
}
