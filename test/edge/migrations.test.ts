import { describe, expect, it } from 'vitest';
import { MIGRATIONS as DIRECTORY_MIGRATIONS } from '../../edge/src/directory/schema.ts';
import { rebuildTotals } from '../../edge/src/ledger/backup.ts';
import { dueQuestions, hearJournal } from '../../edge/src/ledger/journal.ts';
import { findKey } from '../../edge/src/ledger/key.ts';
import { nextBatch } from '../../edge/src/ledger/outbox.ts';
import { attachReader } from '../../edge/src/ledger/readers.ts';
import { heldByOpen } from '../../edge/src/ledger/requests.ts';
import { recentRequests } from '../../edge/src/ledger/rows.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { withDefaults } from '../../edge/src/ledger/settings.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { dailyTotals } from '../../edge/src/ledger/totals.ts';
import { EVERYTHING } from '../../edge/src/ledger/usage.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { openNodeSql } from '../support/node-sql.ts';

/** A ledger as the release before it left it: a key, an open request, a settled one, a day's total. */
function oldLedger(): Sql {
  const sql = openNodeSql();
  migrate(sql, MIGRATIONS.slice(0, 1));
  sql.exec(`INSERT INTO key VALUES (1, 'k1', 'Ann "A"', 'hash', 77, 1700000000000, 42, 1700000001000)`);
  sql.exec(`INSERT INTO requests (id, model, admitted_at_ms, hold_tokens, due_at_ms, state, completion_tokens, metadata)
    VALUES ('done', 'demo', 1, 0, 1, 'settled', 5, '{"a":"b"}')`);
  sql.exec(
    `INSERT INTO requests (id, model, admitted_at_ms, hold_tokens, due_at_ms) VALUES ('open', 'demo', 2, 9, 5)`,
  );
  sql.exec(`INSERT INTO totals VALUES ('2026-01-01', 'demo', 1, 2, 0, 5, 3)`);
  return sql;
}

const columnsOf = (sql: Sql): object[] =>
  sql
    .exec(
      `SELECT m.name AS "table", c.name, c.type, c."notnull", c.dflt_value, c.pk
      FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, 2`,
    )
    .toArray();

describe('the migration of a ledger of the first version', () => {
  it('keeps its key, its limit, its bucket, its secret and its bills', () => {
    const sql = oldLedger();
    migrate(sql, MIGRATIONS);
    expect(findKey(sql)).toEqual({
      keyId: 'k1',
      settings: withDefaults({ name: 'Ann "A"', requests_per_minute: 77 }),
      createdAtMs: 1_700_000_000_000,
      revokedAtMs: null,
      requestBucket: { levelUnits: 42, updatedAtMs: 1_700_000_001_000 },
      tokenBucket: { levelUnits: 0, updatedAtMs: 0 },
      eventSeq: 1,
    });
    expect(sql.exec('SELECT hash, valid_until_ms FROM secrets').toArray()).toEqual([
      { hash: 'hash', valid_until_ms: null },
    ]);
    expect(recentRequests(sql, 10)).toMatchObject([
      { id: 'open', state: 'open', cost_nanos: 0, tokens_hash: null },
      { id: 'done', state: 'settled', completion_tokens: 5, metadata: { a: 'b' } },
    ]);
    expect(dailyTotals(sql, EVERYTHING)).toMatchObject([
      { day: '2026-01-01', completion_tokens: 5, cost_nanos: 0 },
    ]);
  });

  it('has the directory told of the key and of all its days', () => {
    const sql = oldLedger();
    migrate(sql, MIGRATIONS);
    expect(nextBatch(sql)).toMatchObject({
      key: { id: 'k1', name: 'Ann "A"' },
      keyVersion: 1,
      events: [{ seq: 1, action: 'key.create' }],
      totals: [{ usage: { day: '2026-01-01', num_requests: 1 } }],
    });
  });

  it('gives the same tables as a new ledger has', () => {
    const fresh = openNodeSql();
    migrate(fresh, MIGRATIONS);
    const old = oldLedger();
    migrate(old, MIGRATIONS);
    expect(columnsOf(old)).toEqual(columnsOf(fresh));
  });
});

/** A ledger of the second version, which had holds for a request's worst case and settled by what was reported. */
function secondLedger(): Sql {
  const sql = openNodeSql();
  migrate(sql, MIGRATIONS.slice(0, 2));
  sql.exec('DELETE FROM due');
  const settings = JSON.stringify(withDefaults({ name: 'Ann' }));
  sql.exec(`INSERT INTO key VALUES (1, 'k1', ?, 1700000000000, NULL, NULL, NULL, NULL, NULL, 1)`, settings);
  sql.exec(`INSERT INTO secrets VALUES ('hash', 1700000000000, NULL)`);
  sql.exec(`INSERT INTO requests (id, model, admitted_at_ms, hold_tokens, due_at_ms, state, completion_tokens, estimated,
    fingerprint, seed, completion_price) VALUES ('done', 'demo', 1, 0, 1, 'settled', 5, 1, 'fp', '7', 3)`);
  sql.exec(`INSERT INTO requests (id, model, admitted_at_ms, hold_tokens, hold_nanos, due_at_ms, completion_tokens)
    VALUES ('open', 'demo', 2, 9, 9, 5000, 4)`);
  sql.exec(`INSERT INTO totals (day, model, num_requests, completion_tokens, cost_nanos, version, sent_version)
    VALUES ('1970-01-01', 'demo', 1, 5, 15, 4, 4)`);
  sql.exec(`INSERT INTO idempotency (key_hash, request_hash, request_id, expires_at_ms)
    VALUES ('k', 'r', 'open', 9000000000000)`);
  migrate(sql, MIGRATIONS);
  return sql;
}

describe('the migration of a ledger of the second version', () => {
  it('keeps its bills and their sum, and asks nobody about them', () => {
    const sql = secondLedger();
    expect(recentRequests(sql, 10)).toMatchObject([
      { id: 'open', state: 'open', num_attempts: 1 },
      { id: 'done', state: 'settled', completion_tokens: 5, cost_nanos: 15, rule_loss_tokens: 0, seed: '7' },
    ]);
    expect(dailyTotals(sql, EVERYTHING)).toMatchObject([{ completion_tokens: 5, rule_loss_tokens: 0 }]);
    sql.exec('DELETE FROM totals');
    rebuildTotals(sql, 0);
    expect(dailyTotals(sql, EVERYTHING)).toMatchObject([{ completion_tokens: 5, cost_nanos: 15 }]);
    expect(dueQuestions(sql, 9_000_000_000_000).map(({ requestId }) => requestId)).toEqual(['open']);
  });

  it('bills at its time what was open then, by what was reported: nobody says where it went', () => {
    const sql = secondLedger();
    expect(heldByOpen(sql)).toMatchObject({ numOpen: 1, tokens: 9 });
    expect(dueQuestions(sql, 4_999)).toEqual([]);
    const [question] = dueQuestions(sql, 5_000);
    const settlement = hearJournal(sql, question!, 'unreachable', { nowMs: 5_000, graceMs: 1 });
    settleRequest(sql, 'open', settlement!, 5_000);
    expect(recentRequests(sql, 1)).toMatchObject([
      {
        state: 'settled',
        completion_tokens: 4,
        estimated: true,
        finish_reason: 'abandoned',
        rule_loss_tokens: 0,
      },
    ]);
    expect(dailyTotals(sql, EVERYTHING)).toMatchObject([{ num_requests: 2, completion_tokens: 9 }]);
  });

  it('is not taken over by anybody: what goes on needs what it does not know', () => {
    expect(attachReader(secondLedger(), 'open')).toMatchObject({ code: 'not_found' });
  });
});

describe('migrations', () => {
  it.each([
    ['ledger', MIGRATIONS],
    ['directory', DIRECTORY_MIGRATIONS],
  ])('of a %s are done once: again they change nothing', (_, migrations) => {
    const sql = openNodeSql();
    migrate(sql, migrations);
    const before = columnsOf(sql);
    migrate(sql, migrations);
    expect(columnsOf(sql)).toEqual(before);
    expect(sql.exec('SELECT version FROM schema_version').toArray()).toEqual([
      { version: migrations.length },
    ]);
  });

  it('refuse tables of a newer release, whose meaning an older one cannot know', () => {
    const sql = openNodeSql();
    migrate(sql, [...MIGRATIONS, 'CREATE TABLE later (a TEXT)']);
    expect(() => migrate(sql, MIGRATIONS)).toThrow('deploy a newer');
  });
});
