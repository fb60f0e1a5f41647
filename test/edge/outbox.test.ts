import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listAudit, listKeys, listTotals, receiveBatch } from '../../edge/src/directory/records.ts';
import { MIGRATIONS as DIRECTORY_MIGRATIONS } from '../../edge/src/directory/schema.ts';
import type { Batch } from '../../edge/src/directory/types.ts';
import { admitNow } from '../../edge/src/ledger/admission.ts';
import { rebuildTotals } from '../../edge/src/ledger/backup.ts';
import { findKey } from '../../edge/src/ledger/key.ts';
import { creation, revocation, update } from '../../edge/src/ledger/management.ts';
import { confirmBatch, nextBatch, viewOf } from '../../edge/src/ledger/outbox.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { withDefaults } from '../../edge/src/ledger/settings.ts';
import { dailyTotals } from '../../edge/src/ledger/totals.ts';
import { EVERYTHING } from '../../edge/src/ledger/usage.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { TEST_TERMS } from '../support/edge-harness.ts';
import { openNodeSql } from '../support/node-sql.ts';

const DAY_MS = 86_400_000;
const SECRET_HASH = 'a'.repeat(64);

function openTables(migrations: readonly string[]): Sql {
  const sql = openNodeSql();
  migrate(sql, migrations);
  return sql;
}

function newLedger(): Sql {
  const sql = openTables(MIGRATIONS);
  const settings = withDefaults({ requests_per_minute: 1_000_000 });
  creation({ keyId: 'k1', secretHash: SECRET_HASH, settings })(sql, 'test', 0);
  return sql;
}

function bill(sql: Sql, id: string, nowMs: number, numTokens: number, estimated: boolean): void {
  const price = { prompt: 1, cached: 1, completion: 7 };
  const request = {
    requestId: id,
    secretHash: SECRET_HASH,
    model: 'demo',
    fingerprint: 'fp',
    seed: '1',
    price,
  };
  admitNow(sql, { ...request, hold: { tokens: 9, nanos: 9 }, terms: TEST_TERMS, graceMs: 1 }, nowMs);
  const counts = { promptTokens: 2, cachedTokens: 1, completionTokens: numTokens, numForwardPasses: 1 };
  settleRequest(sql, id, { ...counts, attempt: 0, finishReason: 'stop', estimated, tokensHash: null }, nowMs);
}

const action = fc.oneof(
  fc.record({
    do: fc.constant('bill' as const),
    id: fc.constantFrom('r0', 'r1', 'r2', 'r3'),
    day: fc.nat({ max: 3 }),
    tokens: fc.nat({ max: 50 }),
    estimated: fc.boolean(),
  }),
  fc.record({ do: fc.constant('rename' as const), name: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ do: fc.constant('revoke' as const) }),
  /** The ledger sends; the directory's word that it has heard may be lost. */
  fc.record({ do: fc.constant('send' as const), isHeard: fc.boolean(), isConfirmed: fc.boolean() }),
  /** Something that was sent before comes once more. */
  fc.record({ do: fc.constant('repeat' as const), index: fc.nat({ max: 20 }) }),
);
type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

class World {
  readonly ledger = newLedger();
  readonly directory = openTables(DIRECTORY_MIGRATIONS);
  readonly #sent: Batch[] = [];

  do(step: Action): void {
    if (step.do === 'bill') bill(this.ledger, step.id, step.day * DAY_MS, step.tokens, step.estimated);
    else if (step.do === 'rename') update({ name: step.name })(this.ledger, 'test', 1);
    else if (step.do === 'revoke') revocation(this.ledger, 'test', 2);
    else if (step.do === 'send') this.send(step.isHeard, step.isHeard && step.isConfirmed);
    else {
      const batch = this.#sent[step.index % Math.max(1, this.#sent.length)];
      if (batch !== undefined) receiveBatch(this.directory, batch);
    }
  }

  send(isHeard = true, isConfirmed = true): boolean {
    const batch = nextBatch(this.ledger);
    if (batch === undefined) return false;
    this.#sent.push(batch);
    if (isHeard) receiveBatch(this.directory, batch);
    if (isConfirmed) confirmBatch(this.ledger, batch);
    return true;
  }
}

describe('the directory', () => {
  it('knows in the end what the ledger knows, whatever is lost, sent twice or comes late', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (steps) => {
        const world = new World();
        for (const step of steps) world.do(step);
        while (world.send());
        const key = findKey(world.ledger)!;
        expect(listKeys(world.directory, '', 10)).toEqual([viewOf(key)]);
        const everything = { ...EVERYTHING, limit: 1000 };
        expect(listTotals(world.directory, everything)).toEqual(
          dailyTotals(world.ledger, EVERYTHING).map((usage) => ({ key_id: 'k1', ...usage })),
        );
        // One entry a change, no more and no less.
        expect(listAudit(world.directory, 1e9, 1000)).toHaveLength(key.eventSeq);
        expect(nextBatch(world.ledger)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });
});

describe('totals', () => {
  it('that are summed up again from the bills are the ones that were kept all along', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (steps) => {
        const world = new World();
        for (const step of steps) world.do(step);
        const kept = dailyTotals(world.ledger, EVERYTHING);
        world.ledger.exec('DELETE FROM totals');
        rebuildTotals(world.ledger, 0);
        expect(dailyTotals(world.ledger, EVERYTHING)).toEqual(kept);
      }),
      { numRuns: 60 },
    );
  });
});
