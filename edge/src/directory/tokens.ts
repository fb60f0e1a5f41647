import { z } from 'zod';
import { equalInConstantTime } from '../auth/encoding.ts';
import { type Actor, SCOPES, type TokenView } from './types.ts';
import type { Sql, SqlValue } from '../sql.ts';

const scopesSchema = z.array(z.enum(SCOPES));

interface TokenRow extends Record<string, SqlValue> {
  id: string;
  name: string;
  hash: string;
  scopes: string;
  created_at_ms: number;
  expires_at_ms: number | null;
  revoked_at_ms: number | null;
}

export interface NewToken {
  id: string;
  hash: string;
  name: string;
  scopes: TokenView['scopes'];
  /** Unix time in seconds. */
  expiresAt: number | null;
}

export function insertToken(sql: Sql, token: NewToken, nowMs: number): void {
  const expiresAtMs = token.expiresAt === null ? null : token.expiresAt * 1000;
  sql.exec(
    'INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, NULL)',
    ...[token.id, token.name, token.hash, JSON.stringify(token.scopes), nowMs, expiresAtMs],
  );
}

export function findToken(sql: Sql, id: string): TokenView | undefined {
  const [row] = sql.exec<TokenRow>('SELECT * FROM tokens WHERE id = ?', id).toArray();
  return row && viewOf(row);
}

/** Who holds this token, while it is valid. */
export function actorOf(sql: Sql, id: string, hash: string, nowMs: number): Actor | undefined {
  const [row] = sql.exec<TokenRow>('SELECT * FROM tokens WHERE id = ?', id).toArray();
  if (row === undefined || !equalInConstantTime(hash, row.hash) || row.revoked_at_ms !== null)
    return undefined;
  if (row.expires_at_ms !== null && row.expires_at_ms <= nowMs) return undefined;
  return { name: `token:${row.id}`, scopes: scopesSchema.parse(JSON.parse(row.scopes)) };
}

/** Whether there was a valid token to revoke. */
export function revokeToken(sql: Sql, id: string, nowMs: number): boolean {
  const query = 'UPDATE tokens SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL';
  return sql.exec(query, nowMs, id).rowsWritten > 0;
}

export function listTokens(sql: Sql): TokenView[] {
  return sql.exec<TokenRow>('SELECT * FROM tokens ORDER BY created_at_ms, id').toArray().map(viewOf);
}

function viewOf(row: TokenRow): TokenView {
  return {
    id: row.id,
    name: row.name,
    scopes: scopesSchema.parse(JSON.parse(row.scopes)),
    created: seconds(row.created_at_ms) ?? 0,
    expires_at: seconds(row.expires_at_ms),
    revoked_at: seconds(row.revoked_at_ms),
  };
}

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1000));
