import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from '../support/edge-harness.ts';
import type { Ask } from './asks.ts';
import { checkRound } from './check.ts';
import { Client } from './client.ts';
import type { Bill, ClientStory, Oracle, RoundFacts, Verdict } from './facts.ts';
import { injectFault, type LossRecord } from './inject.ts';
import { type KeyState, readJournals, readProven, waitForKey } from './observe.ts';
import type { ClientPlan, RoundPlan } from './plan.ts';
import { Random } from './random.ts';
import type { Say } from './trace.ts';
import { SLICE_TOKENS, type World } from './world.ts';

/** Past that no client asks any more: it got nothing. */
const CLIENTS_LIMIT_MS = 120_000;
const SETTLE_LIMIT_MS = 60_000;
/** For as long as an answer may run that nobody reads, and be asked for. */
const SOON_MS = 12_000;
/** Who asks for what only an instance has that is away for a day is not to wait for it. */
const ABSENCE_PATIENCE_MS = 20_000;
const DAY_MS = 24 * 3_600_000;
const KEY_SETTINGS = { requests_per_minute: 100_000, budget_tokens: 1_000_000_000, concurrent_streams: 64 };

export interface Question {
  ask: Ask;
  oracle: Oracle;
}

export interface RoundResult {
  verdict: Verdict;
  facts: RoundFacts;
}

/** One round from its plan to its verdict. */
export async function runRound(
  world: World,
  plan: RoundPlan,
  questions: readonly Question[],
  say: Say,
): Promise<RoundResult> {
  await world.restore();
  await world.alignClocks();
  const apiKey = await createKey(world.edge.url, KEY_SETTINGS);
  const losses: LossRecord = { lost: new Set(), absent: new Set() };
  const random = new Random(`${plan.seed}/${plan.round}/delays`);
  const { least, most } = plan.delayMs;
  for (const { wire } of world.backends) {
    wire.forgetHeard();
    if (most > 0) wire.slowDown(() => random.whole(least, most));
  }
  const deadline = AbortSignal.timeout(CLIENTS_LIMIT_MS);
  const clients = await Promise.all(
    plan.clients.map((client) => prepareClient(world, client, { plan, questions, apiKey, deadline, say })),
  );
  const stories = Promise.all(clients.map((run) => run()));
  const startedAt = performance.now();
  const injected = await Promise.allSettled(
    plan.faults.map(async ({ atMs, fault }) => {
      await sleep(Math.max(0, atMs - (performance.now() - startedAt)));
      await injectFault(world, fault, losses, say);
    }),
  );
  const broken = injected.find(({ status }) => status === 'rejected');
  if (broken?.status === 'rejected') throw broken.reason;
  say('all faults are over');
  await world.restore(losses.absent);
  const told = await stories;
  await world.closeClientWires();
  const state = await settle(world, apiKey, losses, say);
  const facts = await factsOf(world, told, state, losses);
  return { verdict: checkRound(facts), facts };
}

interface Shared {
  plan: RoundPlan;
  questions: readonly Question[];
  apiKey: string;
  deadline: AbortSignal;
  say: Say;
}

async function prepareClient(
  world: World,
  client: ClientPlan,
  shared: Shared,
): Promise<() => Promise<ClientStory>> {
  const { plan, questions, apiKey, deadline, say } = shared;
  const question = questions[client.askIndex];
  if (question === undefined) throw new Error(`there is no ask ${client.askIndex}`);
  const wire = await world.addClientWire(client.hasKey);
  if (client.cutAfterBytes !== undefined) {
    void wire.cutAfter('down', client.cutAfterBytes).then(() => say(`${client.name}: its wire was cut`));
  }
  const isLong = plan.faults.some(({ fault }) => fault.kind === 'long-absence');
  const patienceMs = isLong ? ABSENCE_PATIENCE_MS : Infinity;
  const idempotencyKey = client.hasKey ? `${plan.seed} ${plan.round} ${client.ask}` : undefined;
  const made = new Client({
    plan: client,
    ...question,
    url: wire.url,
    apiKey,
    idempotencyKey,
    deadline,
    patienceMs,
    say,
  });
  return () => made.run();
}

const isSettled = ({ report, directoryTotal }: KeyState): boolean =>
  report.requests.every(({ state }) => state === 'settled') &&
  report.held_tokens === 0 &&
  JSON.stringify(directoryTotal) === JSON.stringify(report.total);

/** Lets the ledger's alarm come to all bills; where a journal is lost or stays away, its day goes by first. */
async function settle(
  world: World,
  apiKey: string,
  { lost, absent }: LossRecord,
  say: Say,
): Promise<KeyState> {
  const { edge } = world;
  const mayWait = lost.size > 0 || absent.size > 0;
  const soon = await waitForKey(edge.url, apiKey, isSettled, mayWait ? SOON_MS : SETTLE_LIMIT_MS);
  if (!mayWait) return soon;
  if (!isSettled(soon)) {
    say('a day goes by');
    await world.passTime(DAY_MS + 60_000);
    await waitForKey(edge.url, apiKey, isSettled, SETTLE_LIMIT_MS);
  }
  await world.restore();
  // What the rule has billed is asked for once more, now that its instance is back.
  await world.passTime(600_000);
  const isExact = (state: KeyState): boolean =>
    isSettled(state) && (lost.size > 0 || state.report.requests.every(({ estimated }) => !estimated));
  return waitForKey(edge.url, apiKey, isExact, SETTLE_LIMIT_MS);
}

async function factsOf(
  world: World,
  stories: ClientStory[],
  { report, directoryTotal }: KeyState,
  { lost }: LossRecord,
): Promise<RoundFacts> {
  // By the edge's clock, which may be off by minutes: whatever was admitted before may have been lost.
  const isJournalLost = lost.size > 0;
  const bills = await Promise.all(
    report.requests.map(async (row): Promise<Bill> => {
      const journals = (await Promise.all(world.backends.map((site) => readJournals(site, row)))).flat();
      const provenTokens =
        row.rule_loss_tokens > 0 ? await readProven(world.edge.url, report.key.id, row.id) : [];
      return { row, ask: row.metadata?.['ask'] ?? 'unknown', journals, isJournalLost, provenTokens };
    }),
  );
  return {
    stories,
    bills,
    sliceTokens: SLICE_TOKENS,
    ledgerTotal: report.total,
    directoryTotal,
    heldTokens: report.held_tokens,
    heldByBudget: report.budget.held_tokens,
    strayProcesses: world.strayProcesses(),
  };
}
