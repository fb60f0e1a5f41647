import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { Hold, Price } from './price.ts';
import type { KeySettings } from './settings.ts';

/** How a request ended, as the bill states it. */
export type BillReason = 'stop' | 'length' | 'cancelled' | 'revoked' | 'expired' | 'error' | 'abandoned';

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
  /** What its prompt and its first slice can cost at most. */
  hold: Hold;
  terms: RequestTerms;
  /** How long nothing may be heard of it before its backend's journal is asked. */
  graceMs: number;
  user?: string;
  metadata?: Record<string, string>;
  idempotency?: Idempotency;
}

/** What a request asks for, and where it goes first. */
export interface RequestTerms {
  /** The address of the instance of its first attempt. */
  backend: string;
  numChoices: number;
  /** Of each choice; at most the context. */
  maxTokens: number;
  contextLength: number;
  /** So many tokens of each choice are granted ahead of what was delivered. */
  sliceTokens: number;
  /** How its client wants a stream to end. */
  includeUsage: boolean;
  /** What the routes tell of the answer's form, in JSON; absent: of a release that did not keep it. */
  answerTerms?: string | undefined;
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

/** What the connection that relays an answer proves: tokens of each choice that were handed to the client. */
export interface Progress {
  attempt: number;
  /** The number of the connection: one that was taken over proves nothing. */
  reader: number;
  delivered: number[];
  numForwardPasses: number;
  /** How long the ledger waits for the next word. */
  graceMs: number;
}

/** The prompt as the backend counted it. */
export type PromptCounts = Pick<TokenCounts, 'promptTokens' | 'cachedTokens'>;

/** How far an attempt may generate. */
export interface Grant {
  attempt: number;
  /** No choice may be generated past this token. */
  endToken: number;
}

export interface Settlement extends TokenCounts {
  attempt: number;
  /** Whose word the counts are, where they are only what it relayed; absent: the backend's own total. */
  reader?: number;
  finishReason: BillReason;
  /** The counts are what was proven delivered, not the backend's own total. */
  estimated: boolean;
  /** `hashTokenIds` of the completion by choice; null where it is not known. */
  tokensHash: string | null;
}

/** What a connection needs to take an answer over. */
export interface Attachment extends Grant {
  reader: number;
  state: 'open' | 'settled';
  /** That are in its bill, or proven so far. */
  completionTokens: number;
  backend: string;
  /** The last attempt that a backend was seen to start, and where: its journal has what there is of the answer. */
  started: { attempt: number; backend: string } | undefined;
  model: string;
  fingerprint: string;
  seed: string;
  createdMs: number;
  price: Price;
  terms: Omit<RequestTerms, 'backend'>;
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
  | { admitted: true; rateLimits: RateLimits; grant: Grant; createdMs: number }
  | { admitted: false; error: ErrorObject; rateLimits?: RateLimits }
  /** Its Idempotency-Key was there before with the same request: that one's answer is also this one's. */
  | { admitted: false; duplicateOf: string };

/** A piece of an answer that is kept, as it is sent. */
export interface AnswerPart {
  contentType: string;
  text: string;
  /** Nothing comes after it. */
  isWhole: boolean;
}

/** The answer to an Idempotency-Key's request, as it was sent: what there is of it after some of its parts. */
export interface AnswerNews {
  state: 'running' | 'broken' | 'answered';
  contentType: string | null;
  parts: string[];
  /** How many parts there are by now. */
  numParts: number;
  /** Nobody relays it: whoever wants it takes it over. */
  isVacant: boolean;
}

export interface UsageCounts {
  num_requests: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  /** Money, in whole billionths. */
  cost_nanos: number;
  /** So many tokens at most were delivered and are in no bill, since their backend's journal is lost. */
  rule_loss_tokens: number;
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

/** A request that is open, as the admin sees it. */
export interface LiveRequest {
  id: string;
  model: string;
  created_ms: number;
  /** A backend has begun; before that it waits for its turn. */
  has_started: boolean;
  /** Where it is; null: of a release that did not say. */
  backend: string | null;
  num_choices: number;
  /** Of each choice. */
  max_tokens: number;
  prompt_tokens: number;
  /** Relayed so far. */
  completion_tokens: number;
  num_forward_passes: number;
  num_attempts: number;
  /** Nobody reads it now: it goes on for the grace. */
  client_left: boolean;
  user: string | null;
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
  rule_loss_tokens: number;
  /** More than one: it went on at another backend, or at the same one again. */
  num_attempts: number;
  fingerprint: string | null;
  seed: string | null;
  tokens_hash: string | null;
  user: string | null;
  metadata: Record<string, string> | null;
}
