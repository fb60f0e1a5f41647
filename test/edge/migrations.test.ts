import { describe, expect, it } from 'vitest';
import { MIGRATIONS as DIRECTORY_MIGRATIONS } from '../../edge/src/directory/schema.ts';
import { findKey } from '../../edge/src/ledger/key.ts';
import { nextBatch } from '../../edge/src/ledger/outbox.ts';
import { recentRequests } from '../../edge/src/ledger/rows.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { withDefaults } from '../../edge/src/ledger/settings.ts';
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
