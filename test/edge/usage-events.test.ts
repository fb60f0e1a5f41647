import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findRequest } from '../../edge/src/ledger/rows.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { dailyTotals } from '../../edge/src/ledger/totals.ts';
import type { RequestRecord, Settlement } from '../../edge/src/ledger/types.ts';
import { EVERYTHING, sumUsage } from '../../edge/src/ledger/usage.ts';
import { usageEvent } from '../../edge/src/ledger/usage-events.ts';
import { writeEdgeConfig } from '../support/edge-config.ts';
import { startEdgeHarness } from '../support/edge-harness.ts';
import { admitTo, newNodeLedger, NOON } from '../support/node-ledger.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, startScriptedBackend } from '../support/scripted-backend.ts';

const tokens = fc.nat({ max: 90 });
const bill = fc.record({ promptTokens: tokens, cachedTokens: tokens, completionTokens: tokens });

const settlement = (counts: Partial<Settlement>): Settlement => ({
  ...{ promptTokens: 10, cachedTokens: 2, completionTokens: 5, numForwardPasses: 3 },
  ...{ attempt: 0, finishReason: 'stop', estimated: false, tokensHash: null },
  ...counts,
});

describe('the data points of bills', () => {
  it('come to what the ledger comes to, also where a journal has replaced an estimated bill', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bill, fc.option(bill)), { maxLength: 6 }), (bills) => {
        const sql = newNodeLedger();
        const events = bills.flatMap(([first, second], index) => {
          const id = `r${index}`;
          admitTo(sql, id);
          const counts = second === null ? [first] : [first, second];
          return counts.map((one, turn) => {
            const before = findRequest(sql, id);
            const estimated = turn === 0 && second !== null;
            const finishReason = estimated ? 'abandoned' : 'stop';
            settleRequest(sql, id, settlement({ ...one, estimated, finishReason }), NOON + 1_000);
            return usageEvent('k1', findRequest(sql, id)!, before);
          });
        });
        const sums = events.reduce(
          (total, { doubles }) => total.map((sum, at) => sum + Number(doubles[at])),
          Array<number>(7).fill(0),
        );
        const { num_requests, prompt_tokens, cached_tokens, completion_tokens, ...more } = sumUsage(
          dailyTotals(sql, EVERYTHING),
        );
        const { num_forward_passes, cost_nanos, rule_loss_tokens } = more;
        const wanted = [num_requests, prompt_tokens, cached_tokens, completion_tokens];
        expect(sums).toEqual([...wanted, num_forward_passes, cost_nanos, rule_loss_tokens]);
      }),
      { numRuns: 40 },
    );
  });

  it('hold nothing of a request but counts and names, within what a dataset takes', () => {
    const sql = newNodeLedger();
    admitTo(sql, 'r1');
    settleRequest(sql, 'r1', settlement({}), NOON + 1_500);
    const record: RequestRecord = { ...findRequest(sql, 'r1')!, user: 'ann', metadata: { secret: 'x' } };
    const { indexes, blobs, doubles } = usageEvent('é'.repeat(90), record, undefined);
    expect(new TextEncoder().encode(String(indexes[0])).length).toBeLessThanOrEqual(96);
    expect(indexes[0]).toMatch(/^é+$/);
    expect(blobs).toEqual(['demo', 'stop', 'exact', 'fp', 'r1']);
    expect(doubles.slice(-2)).toEqual([1, 1_500]);
    expect(JSON.stringify([indexes, blobs, doubles])).not.toMatch(/ann|secret/);
  });
});

describe('an edge with the dataset that wrangler.toml has commented out', () => {
  it('serves and bills as without it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidar-events-'));
    const backend = await startScriptedBackend();
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.end(2);
    });
    const vars = { BACKENDS: JSON.stringify([{ url: backend.url }]) };
    const edge = await startEdgeHarness(vars, writeEdgeConfig(folder, '[[analytics_engine_datasets]]'));
    try {
      expect(await edge.server.getWorker().getEnv()).toHaveProperty('USAGE_EVENTS');
      const client = new RawClient(edge.url, await edge.createKey());
      const messages = [{ role: 'user', content: 'a' }];
      await client.complete({ model: SCRIPTED_MODEL.id, messages });
      const record = await client.lastRequest(({ state }) => state === 'settled');
      expect(record).toMatchObject({ completion_tokens: 2, estimated: false });
    } finally {
      await edge.close();
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
