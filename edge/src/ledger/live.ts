import { deliveredOf, type RequestRow } from './rows.ts';
import type { LiveRequest } from './types.ts';
import type { Sql } from '../sql.ts';

/** What a connection has relayed so far, by its own count: for whoever looks on, never for a bill. */
export interface RelayedCounts {
  numTokens: number[];
  numForwardPasses: number;
}

/** The connections' last words, in this instance's memory. */
export class LiveCounts {
  readonly #byRequest = new Map<string, RelayedCounts>();

  tell(requestId: string, counts: RelayedCounts): void {
    this.#byRequest.set(requestId, counts);
  }

  forget(requestId: string): void {
    this.#byRequest.delete(requestId);
  }

  of(requestId: string): RelayedCounts | undefined {
    return this.#byRequest.get(requestId);
  }
}

/** The open requests, newest first; counts are the connections' own where they are ahead of what is proven. */
export function openRequests(sql: Sql, counts: LiveCounts, limit: number): LiveRequest[] {
  const query = `SELECT * FROM requests WHERE state = 'open' ORDER BY admitted_at_ms DESC, rowid DESC LIMIT ?`;
  return sql
    .exec<RequestRow>(query, limit)
    .toArray()
    .map((row) => liveOf(row, counts.of(row.id)));
}

function liveOf(row: RequestRow, told: RelayedCounts | undefined): LiveRequest {
  const sum = (tokens: readonly number[]): number => tokens.reduce((total, count) => total + count, 0);
  return {
    id: row.id,
    model: row.model,
    created_ms: row.admitted_at_ms,
    has_started: row.started_attempt === row.attempt,
    backend: row.backend,
    num_choices: row.num_choices,
    max_tokens: row.max_tokens,
    prompt_tokens: row.prompt_tokens,
    completion_tokens: Math.max(sum(deliveredOf(row)), sum(told?.numTokens ?? [])),
    num_forward_passes: Math.max(row.num_forward_passes, told?.numForwardPasses ?? 0),
    num_attempts: row.attempt + 1,
    client_left: row.reader_left === 1,
    user: row.user,
  };
}

export function numOpen(sql: Sql): number {
  return sql.exec<{ count: number }>(`SELECT COUNT(*) AS count FROM requests WHERE state = 'open'`).one()
    .count;
}
