import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { Hold, Price } from './price.ts';
import type { KeySettings } from './settings.ts';

/** How a request ended, as the bill states it. */
export type BillReason = 'stop' | 'length' | 'cancelled' | 'revoked' | 'error' | 'abandoned';

export interface NewKey {
  keyId: string;
  secretHash: string;
  settings: KeySettings;
}

export interface NewRequest {
  requestId: string;
  secretHash: string;
  model: string;
  fingerprint: string;
  seed: string;
  /** What its tokens cost, whatever prices come later. */
  price: Price;
  /** No more than this can be billed for it. */
  hold: Hold;
  graceMs: number;
  user?: string;
  metadata?: Record<string, string>;
  idempotency?: Idempotency;
}

/** An Idempotency-Key and the request that it was sent with, both as SHA-256 in hex. */
export interface Idempotency {
  keyHash: string;
  requestHash: string;
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
  /** A hold only ever shrinks. */
  hold: Hold;
  /** How long the ledger waits for the next report. */
  graceMs: number;
}

export interface Settlement extends TokenCounts {
  finishReason: BillReason;
  /** The counts are what was proven delivered, not the backend's own total. */
  estimated: boolean;
  /** `hashTokenIds` of the completion by choice; null where it is not known. */
  tokensHash: string | null;
}

export interface LimitState {
  limit: number;
  remaining: number;
  resetAfterMs: number;
}

/** The limits that a key has, after a request. */
export interface RateLimits {
  requests: LimitState;
  tokens?: LimitState;
}

/** Errors are values here: what is thrown across a Durable Object's border loses its class. */
export type Refused = { error: ErrorObject };
export type Admission =
  | { admitted: true; rateLimits: RateLimits }
  | { admitted: false; error: ErrorObject; rateLimits?: RateLimits }
  /** Its Idempotency-Key was there before with the same request: that one's answer is also this one's. */
  | { admitted: false; duplicateOf: string };

/** The answer to an Idempotency-Key's request, as it was sent. */
export type StoredAnswer =
  { state: 'running' } | { state: 'broken' } | { state: 'answered'; contentType: string; text: string };

export interface UsageCounts {
  num_requests: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  /** Money, in whole billionths. */
  cost_nanos: number;
}

export type DailyUsage = UsageCounts & { day: string; model: string };

/** Which bills are meant. */
export interface UsageFilter {
  model?: string | undefined;
  /** Days such as 2026-11-24, in UTC, both included. */
  from: string;
  to: string;
}

/** A key as its holder and the admin see it: never a secret. */
export interface KeyView extends KeySettings {
  id: string;
  /** Unix time in seconds, as all times here. */
  created: number;
  revoked_at: number | null;
}

/** The key after a change; none while a backup is read back. */
export type KeyAnswer = Refused | { key: KeyView | undefined };

/** Tokens and money: what was used since the last refill, and what open requests may still use. */
export interface BudgetState {
  spent_tokens: number;
  spent_nanos: number;
  held_tokens: number;
  held_nanos: number;
  /** When the budget is whole again; null: never by itself. */
  refills_at: number | null;
}

/** The answer of `GET /v1/usage`. */
export interface UsageReport {
  object: 'usage';
  key: KeyView;
  total: UsageCounts;
  /** What the open requests may still cost at most. */
  held_tokens: number;
  budget: BudgetState;
  days: DailyUsage[];
  requests: RequestRecord[];
}

export interface RequestRecord {
  id: string;
  model: string;
  created_ms: number;
  settled_ms: number | null;
  state: 'open' | 'settled';
  finish_reason: string | null;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  cost_nanos: number;
  estimated: boolean;
  fingerprint: string | null;
  seed: string | null;
  tokens_hash: string | null;
  user: string | null;
  metadata: Record<string, string> | null;
}
