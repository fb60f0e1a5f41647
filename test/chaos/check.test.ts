import type { JournalAnswer } from '@tidar/shared/journal.ts';
import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../edge/src/ledger/types.ts';
import { sumUsage } from '../../edge/src/ledger/usage.ts';
import { checkRound } from './check.ts';
import type { Bill, ClientStory, Oracle, RoundFacts } from './facts.ts';

const ID = 'req_1';
const oracle: Oracle = {
  texts: ['abcd', 'efgh'],
  finishReasons: ['length', 'length'],
  promptTokens: 5,
  tokens: [20, 20],
  completionTokens: 40,
};

const story = (changes: Partial<ClientStory> = {}): ClientStory => ({
  client: 'client 0',
  ask: 'ask 0',
  hasKey: true,
  numPosts: 2,
  numConnections: 1,
  oracle,
  deliveries: [{ requestId: ID, texts: [...oracle.texts], tokens: [20, 20] }],
  outcome: { kind: 'whole' },
  breaches: [],
  ...changes,
});

const row = (changes: Partial<RequestRecord> = {}): RequestRecord => ({
  id: ID,
  model: 'tiny-chat',
  created_ms: 1,
  settled_ms: 2,
  state: 'settled',
  finish_reason: 'length',
  prompt_tokens: 5,
  cached_tokens: 0,
  completion_tokens: 40,
  num_forward_passes: 40,
  cost_nanos: 295,
  estimated: false,
  rule_loss_tokens: 0,
  num_attempts: 1,
  fingerprint: 'f',
  seed: '1',
  tokens_hash: null,
  user: null,
  metadata: { ask: 'ask 0' },
  ...changes,
});

const journal = (counts: number[], attempt = 0): JournalAnswer => ({
  request_id: ID,
  attempt,
  state: 'ended',
  model: 'tiny-chat',
  fingerprint: 'f',
  seed: '1',
  prompt_token_ids: null,
  token_ids: null,
  token_counts: counts,
  tokens_hash: null,
  finish_reasons: counts.map(() => 'length'),
  usage: { prompt_tokens: 5, completion_tokens: 40, cached_tokens: 0, num_forward_passes: 40 },
});

const bill = (changes: Partial<RequestRecord> = {}, more: Partial<Bill> = {}): Bill => ({
  row: row(changes),
  ask: 'ask 0',
  journals: [journal([20, 20])],
  isJournalLost: false,
  provenTokens: [],
  ...more,
});

/** A round in which everything is right, with what a test doctors. */
function facts(changes: Partial<RoundFacts> = {}): RoundFacts {
  const { bills = [bill()] } = changes;
  const total = sumUsage(bills.map((one) => ({ ...one.row, num_requests: 1 })));
  return {
    stories: [story()],
    bills,
    sliceTokens: 16,
    ledgerTotal: total,
    directoryTotal: total,
    heldTokens: 0,
    heldByBudget: 0,
    strayProcesses: [],
    ...changes,
  };
}

const GOOD = { lost: 0, billedTwice: 0, unbilledTokens: 0, ruleLossTokens: 0, problems: [] };

describe('a round that is right', () => {
  it.each([
    ['one text and one bill', facts()],
    [
      'a client that left, billed for what was generated until then',
      facts({
        stories: [
          story({
            outcome: { kind: 'left' },
            deliveries: [{ requestId: ID, texts: ['ab', ''], tokens: [9, 0] }],
          }),
        ],
        bills: [
          bill({ completion_tokens: 24, finish_reason: 'cancelled' }, { journals: [journal([12, 12])] }),
        ],
      }),
    ],
    [
      'a refusal that costs nothing',
      facts({
        stories: [
          story({
            deliveries: [],
            outcome: { kind: 'error', code: 'conflict', message: 'It has its bill.' },
          }),
        ],
        bills: [bill({ completion_tokens: 0, finish_reason: 'error' }, { journals: [journal([16, 16])] })],
      }),
    ],
    [
      'two attempts of which the second goes on where the first was',
      facts({ bills: [bill({ num_attempts: 2 }, { journals: [journal([11, 12]), journal([20, 20], 1)] })] }),
    ],
  ])('%s: passes', (_, round) => expect(checkRound(round)).toEqual(GOOD));

  it('reports the loss of a lost journal apart', () => {
    const lost = bill(
      // Both end at 33, a slice after the furthest.
      { completion_tokens: 32, estimated: true, rule_loss_tokens: 34 },
      { journals: [], isJournalLost: true, provenTokens: [17, 15] },
    );
    expect(checkRound(facts({ bills: [lost] }))).toEqual({ ...GOOD, ruleLossTokens: 34 });
  });
});

describe('a client is found to be lost', () => {
  it.each([
    ['gets nothing', { outcome: { kind: 'nothing', why: 'it was cut off' } }],
    ['gets an error that says nothing', { outcome: { kind: 'error', code: 'internal', message: '' } }],
    ['gets a text that stops', { deliveries: [{ requestId: ID, texts: ['abcd', 'ef'], tokens: [20, 10] }] }],
    ['gets another text', { deliveries: [{ requestId: ID, texts: ['abcd', 'efgx'], tokens: [20, 20] }] }],
    ['gets a piece twice', { deliveries: [{ requestId: ID, texts: ['ababcd', 'efgh'], tokens: [20, 20] }] }],
    [
      'gets an error after a wrong piece',
      {
        outcome: { kind: 'error', code: 'conflict', message: '' },
        deliveries: [{ requestId: ID, texts: ['x', ''], tokens: [1, 0] }],
      },
    ],
    ['gets something after the end', { breaches: ['after its end: more'] }],
  ] satisfies [string, Partial<ClientStory>][])('that %s', (_, changes) => {
    const verdict = checkRound(facts({ stories: [story(changes)] }));
    expect(verdict).toMatchObject({ lost: 1, billedTwice: 0 });
    expect(verdict.problems).not.toEqual([]);
  });
});

describe('a token in two bills is found', () => {
  it.each([
    ['by a second bill of a key', { bills: [bill(), bill({ id: 'req_2' })] }],
    [
      'by a bill that adds attempts up',
      { bills: [bill({ completion_tokens: 63 }, { journals: [journal([11, 12]), journal([20, 20], 1)] })] },
    ],
    [
      'by more bills than a client without a key has asked for',
      { stories: [story({ hasKey: false, numPosts: 1 })], bills: [bill(), bill({ id: 'req_2' })] },
    ],
    ['by a total of the directory', { directoryTotal: { ...facts().ledgerTotal, completion_tokens: 80 } }],
    ['by a total of the ledger', { ledgerTotal: { ...facts().ledgerTotal, num_requests: 2 } }],
  ] satisfies [string, Partial<RoundFacts>][])('%s', (_, changes) => {
    const verdict = checkRound(facts(changes));
    expect(verdict.billedTwice).toBeGreaterThan(0);
    expect(verdict.problems).not.toEqual([]);
  });
});

describe('a delivered token without a bill is found', () => {
  it.each([
    ['where there is no bill', { bills: [] }, 40],
    ['where the bill is too low', { bills: [bill({ completion_tokens: 38 })] }, 2],
    ['where the bill is of nothing', { bills: [bill({ completion_tokens: 0, finish_reason: 'error' })] }, 40],
    [
      'where a lost journal is no excuse: more than the rule says',
      {
        bills: [
          bill(
            { completion_tokens: 30, estimated: true, rule_loss_tokens: 9 },
            { journals: [], isJournalLost: true, provenTokens: [15, 15] },
          ),
        ],
      },
      10,
    ],
    [
      'where the rule was used though no journal is lost',
      { bills: [bill({ completion_tokens: 30, estimated: true, rule_loss_tokens: 16 })] },
      10,
    ],
  ] satisfies [string, Partial<RoundFacts>, number][])('%s', (_, changes, numTokens) => {
    const verdict = checkRound(facts(changes));
    expect(verdict.unbilledTokens).toBe(numTokens);
    expect(verdict.problems).not.toEqual([]);
  });
});

describe('every other law that is broken is told', () => {
  it.each([
    ['an open request', { bills: [bill({ state: 'open' })] }, /^open:/],
    ['a hold that stays', { heldTokens: 3 }, /^holds:/],
    ['a hold of the budget that stays', { heldByBudget: 3 }, /^holds:/],
    ['a process that lives on', { strayProcesses: ['process 7 should be dead'] }, /^leaked:/],
    ['a prompt that is billed wrongly', { bills: [bill({ prompt_tokens: 6 })] }, /^prompt:/],
    [
      'a bill below its journal',
      {
        stories: [story({ deliveries: [], outcome: { kind: 'left' } })],
        bills: [bill({ completion_tokens: 39 })],
      },
      /^below its journal:/,
    ],
    [
      'a loss of more than a slice after the furthest choice',
      {
        bills: [
          bill(
            { estimated: true, rule_loss_tokens: 35 },
            { journals: [], isJournalLost: true, provenTokens: [21, 19] },
          ),
        ],
      },
      /^rule:/,
    ],
    ['a loss in an exact bill', { bills: [bill({ rule_loss_tokens: 1 })] }, /^rule:/],
  ] satisfies [string, Partial<RoundFacts>, RegExp][])('%s', (_, changes, problem) => {
    expect(checkRound(facts(changes)).problems.join('\n')).toMatch(problem);
  });
});
