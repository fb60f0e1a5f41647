import { checkedCounts, countsDifference, highestCounts, NO_TOKENS } from './counts.ts';
import { costNanos } from './price.ts';
import { sum } from './requests.ts';
import { countsOf, deliveredOf, findRow, priceOfRow, type RequestRow, writeCounts } from './rows.ts';
import { addToTotals } from './totals.ts';
import type { Settlement, TokenCounts } from './types.ts';
import type { Sql } from '../sql.ts';

/**
 * Turns an open request into its one bill; however often it is called, the day's totals count it once. Only the highest
 * attempt is believed, and of what was merely relayed only the present reader. An estimated bill is replaced once by a
 * true one, never the other way round. Returns how many tokens were held, or billed before, and are not in the bill;
 * undefined where nothing was changed.
 */
export function settleRequest(
  sql: Sql,
  requestId: string,
  settlement: Settlement,
  nowMs: number,
): number | undefined {
  const row = findRow(sql, requestId);
  if (row === undefined || !isBelieved(row, settlement)) return undefined;
  const before = row.state === 'open' ? NO_TOKENS : countsOf(row);
  const checked = checkedCounts({ ...NO_TOKENS, ...countsIn(settlement) });
  const counts = settlement.estimated ? highestCounts(countsOf(row), checked) : checked;
  writeBill(sql, row, counts, settlement, nowMs);
  return (row.state === 'open' ? row.hold_tokens : billedTokens(before)) - billedTokens(counts);
}

function isBelieved(row: RequestRow, { attempt, reader, estimated }: Settlement): boolean {
  if (attempt !== row.attempt) return false;
  if (row.state === 'open') return reader === undefined || reader === row.reader;
  // A bill by the rule gives way to what the journal says; a bill is otherwise final.
  return row.estimated === 1 && !estimated && reader === undefined;
}

function writeBill(
  sql: Sql,
  row: RequestRow,
  counts: TokenCounts,
  settlement: Settlement,
  nowMs: number,
): void {
  const wasOpen = row.state === 'open';
  const before = wasOpen ? NO_TOKENS : countsOf(row);
  const { estimated, finishReason, tokensHash } = settlement;
  // What a reader itself tells is all that it delivered: nothing is lost, and nobody is asked.
  const isByRule = estimated && settlement.reader === undefined;
  const lossTokens = isByRule ? mostLost(row, counts) : 0;
  writeCounts(sql, row.id, counts);
  sql.exec(
    `UPDATE requests SET state = 'settled', hold_tokens = 0, hold_nanos = 0, finish_reason = ?, estimated = ?,
     tokens_hash = ?, settled_at_ms = ?, rule_loss_tokens = ?, ask_at_ms = ?
     WHERE id = ?`,
    ...[
      finishReason,
      estimated ? 1 : 0,
      tokensHash,
      nowMs,
      lossTokens,
      isByRule ? row.ask_at_ms : null,
      row.id,
    ],
  );
  const price = priceOfRow(row);
  const addition = {
    // A bill belongs to the day of its admission, so that replacing it changes the same day.
    day: new Date(row.admitted_at_ms).toISOString().slice(0, 10),
    model: row.model,
    numRequests: wasOpen ? 1 : 0,
    counts: countsDifference(counts, before),
    costNanos: costNanos(price, counts) - costNanos(price, before),
    ruleLossTokens: lossTokens - row.rule_loss_tokens,
  };
  addToTotals(sql, addition, nowMs);
}

/** What may have been delivered and is not in the counts: what was granted past what is proven. */
function mostLost(row: RequestRow, { completionTokens }: TokenCounts): number {
  // A start is told before any token goes out.
  if (row.started_attempt < 0) return 0;
  const room = Math.max(0, row.context_length - row.prompt_tokens);
  const granted = deliveredOf(row).map((count) => Math.max(count, Math.min(row.end_token, room)));
  return Math.max(0, sum(granted) - completionTokens);
}

function countsIn(settlement: Settlement): TokenCounts {
  const { promptTokens, cachedTokens, completionTokens, numForwardPasses } = settlement;
  return { promptTokens, cachedTokens, completionTokens, numForwardPasses };
}

const billedTokens = (counts: TokenCounts): number => counts.promptTokens + counts.completionTokens;
