import type { UnsentTotals } from '../ledger/totals.ts';
import type { KeyView } from '../ledger/types.ts';

/** A change of a key, numbered by its ledger. */
export interface KeyEvent {
  seq: number;
  atMs: number;
  actor: string;
  action: string;
  /** JSON. */
  detail: string;
}

/** What a ledger tells the directory: states and not differences, so that hearing it twice changes nothing. */
export interface Batch {
  key: KeyView;
  keyVersion: number;
  events: KeyEvent[];
  totals: UnsentTotals[];
}

export interface AuditEntry {
  id: number;
  at_ms: number;
  actor: string;
  action: string;
  /** The id of the key or token. */
  subject: string;
  /** JSON. */
  detail: string;
}

export const SCOPES = ['keys:read', 'keys:write', 'usage:read', 'fleet:read', 'audit:read', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What usage may be told apart by. */
export const USAGE_GROUPS = ['key', 'day', 'model'] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

/** Who makes an admin request. */
export interface Actor {
  name: string;
  scopes: readonly Scope[];
}

export interface TokenView {
  id: string;
  name: string;
  scopes: Scope[];
  created: number;
  expires_at: number | null;
  revoked_at: number | null;
}
