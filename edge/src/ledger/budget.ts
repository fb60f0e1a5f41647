import { TidarError } from '@tidar/shared/errors.ts';
import type { Hold } from './price.ts';
import { heldByOpen } from './requests.ts';
import type { KeySettings } from './settings.ts';
import { spentSince } from './totals.ts';
import type { BudgetState } from './types.ts';
import type { Sql } from '../sql.ts';

/** What the budget of the present day, month or life has been used for. */
export function budgetState(sql: Sql, settings: KeySettings, nowMs: number): BudgetState {
  const spent = spentSince(sql, periodOf(settings, nowMs));
  const held = heldByOpen(sql);
  return {
    spent_tokens: spent.tokens,
    spent_nanos: spent.nanos,
    held_tokens: held.tokens,
    held_nanos: held.nanos,
    refills_at: refillsAt(settings, nowMs),
  };
}

/** Why the budget has no room for one more hold; undefined if it has. */
export function budgetRefusal(
  sql: Sql,
  settings: KeySettings,
  hold: Hold,
  nowMs: number,
): TidarError | undefined {
  const { budget_tokens: maxTokens, budget_nanos: maxNanos } = settings;
  if (maxTokens === null && maxNanos === null) return undefined;
  const state = budgetState(sql, settings, nowMs);
  const tokens = state.spent_tokens + state.held_tokens + hold.tokens;
  const nanos = state.spent_nanos + state.held_nanos + hold.nanos;
  if (maxTokens !== null && tokens > maxTokens) {
    return overBudget(`${maxTokens} tokens`, state.spent_tokens, state.held_tokens, hold.tokens, state);
  }
  if (maxNanos !== null && nanos > maxNanos) {
    return overBudget(`${maxNanos} nano-units`, state.spent_nanos, state.held_nanos, hold.nanos, state);
  }
  return undefined;
}

function overBudget(
  limit: string,
  spent: number,
  held: number,
  asked: number,
  { refills_at: refillsAtSeconds }: BudgetState,
): TidarError {
  const refill =
    refillsAtSeconds === null ? '' : ` It is refilled at ${new Date(refillsAtSeconds * 1000).toISOString()}.`;
  const message =
    `This key's budget is ${limit}: ${spent} are spent, ${held} held by open requests, and this request may ` +
    `need ${asked}.${refill} A lower max_tokens needs less.`;
  return new TidarError('insufficient_quota', message);
}

/** The first characters of the days that the budget is for, in UTC. */
function periodOf({ budget_refill: refill }: KeySettings, nowMs: number): string {
  const day = new Date(nowMs).toISOString();
  if (refill === 'daily') return day.slice(0, 10);
  return refill === 'monthly' ? day.slice(0, 7) : '';
}

function refillsAt({ budget_refill: refill }: KeySettings, nowMs: number): number | null {
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (refill === 'daily') return Date.UTC(year, month, day + 1) / 1000;
  return refill === 'monthly' ? Date.UTC(year, month + 1, 1) / 1000 : null;
}
