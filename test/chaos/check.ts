import type { UsageCounts } from '../../edge/src/ledger/types.ts';
import { sumUsage } from '../../edge/src/ledger/usage.ts';
import type { Bill, ClientStory, Delivery, RoundFacts, Verdict } from './facts.ts';

/** What an error may say to a client whose request was right; `internal` would say nothing. */
const CLEAR_ERRORS = new Set([
  'backend_unavailable',
  'overloaded',
  'shutting_down',
  'cancelled',
  'conflict',
  'not_found',
  'idempotency_in_flight',
  'idempotency_broken',
  'stream_taken_over',
]);

/** Holds a settled round against the laws. It sees nothing but the facts, so that a test can doctor them. */
export function checkRound(facts: RoundFacts): Verdict {
  const verdict: Verdict = { lost: 0, billedTwice: 0, unbilledTokens: 0, ruleLossTokens: 0, problems: [] };
  for (const story of facts.stories) checkStory(story, verdict);
  checkNumberOfBills(facts, verdict);
  for (const bill of facts.bills) checkBill(bill, facts, verdict);
  for (const { client, deliveries } of facts.stories) {
    for (const delivery of deliveries) checkDelivery(client, delivery, facts.bills, verdict);
  }
  checkTotals(facts, verdict);
  return verdict;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** A whole text or one clear error, and not one wrong character on the way. */
function checkStory({ client, outcome, breaches, deliveries, oracle }: ClientStory, verdict: Verdict): void {
  const problems = [...breaches];
  for (const { texts } of deliveries) {
    texts.forEach((text, choice) => {
      const isRight = oracle.texts[choice]?.startsWith(text) === true;
      if (!isRight) problems.push(`choice ${choice} is not as the model has it: ${JSON.stringify(text)}`);
    });
  }
  if (outcome.kind === 'whole' && !deliveries.some((delivery) => isWhole(delivery, oracle.texts))) {
    problems.push(`the text ended early: ${JSON.stringify(deliveries.at(-1)?.texts)}`);
  }
  if (outcome.kind === 'error' && !CLEAR_ERRORS.has(outcome.code)) {
    problems.push(`an error that is not clear: ${outcome.code}: ${outcome.message}`);
  }
  if (outcome.kind === 'nothing') problems.push(`neither text nor error: ${outcome.why}`);
  if (problems.length === 0) return;
  verdict.lost += 1;
  verdict.problems.push(...problems.map((problem) => `lost: ${client}: ${problem}`));
}

function isWhole({ texts }: Delivery, wanted: readonly string[]): boolean {
  return texts.length === wanted.length && texts.every((text, choice) => text === wanted[choice]);
}

/** One bill for each idempotency key, and at most one for each request without. */
function checkNumberOfBills({ stories, bills }: RoundFacts, verdict: Verdict): void {
  for (const ask of new Set(bills.map((bill) => bill.ask))) {
    const asking = stories.filter((story) => story.ask === ask);
    const costly = bills.filter((bill) => bill.ask === ask && bill.row.completion_tokens > 0);
    const hasKey = asking.some((story) => story.hasKey);
    const most = hasKey ? 1 : sum(asking.map(({ numPosts }) => numPosts));
    if (costly.length <= most) continue;
    verdict.billedTwice += costly.length - most;
    verdict.problems.push(`billed twice: ${ask} has ${costly.length} bills, and may have ${most}`);
  }
}

function checkBill(bill: Bill, facts: RoundFacts, verdict: Verdict): void {
  const { row, ask, journals, isJournalLost, provenTokens } = bill;
  const name = `${ask} (${row.id})`;
  const { completion_tokens: billed, rule_loss_tokens: loss } = row;
  if (row.state !== 'settled') verdict.problems.push(`open: ${name} has no bill yet`);
  const story = facts.stories.find((one) => one.ask === ask);
  const most = endIndex(row.id, journals, facts.stories);
  // What only a lost journal knew is not in the others'.
  if (!isJournalLost && billed > most) {
    verdict.billedTwice += 1;
    verdict.problems.push(`billed twice: ${name} is billed ${billed} tokens of the ${most} that there are`);
  }
  const own = journals.filter(({ attempt }) => attempt === row.num_attempts - 1);
  const least = Math.max(0, ...own.map(({ token_counts: counts }) => sum(counts)));
  // What nobody took costs nothing, though a backend may have begun it.
  const isRefused = billed === 0 && row.finish_reason === 'error';
  if (!row.estimated && !isRefused && billed < least) {
    verdict.problems.push(`below its journal: ${name} is billed ${billed} of ${least} tokens`);
  }
  if (billed > 0 && story !== undefined && row.prompt_tokens !== story.oracle.promptTokens) {
    verdict.problems.push(`prompt: ${name} is billed ${row.prompt_tokens}, not ${story.oracle.promptTokens}`);
  }
  verdict.ruleLossTokens += loss;
  const granted = mostGranted(provenTokens, facts.sliceTokens);
  if (loss > granted) {
    verdict.problems.push(
      `rule: ${name} may lose ${loss} tokens, more than the ${granted} of its last slice`,
    );
  }
  if (loss > 0 && !row.estimated) verdict.problems.push(`rule: ${name} is exact, and has a loss of ${loss}`);
}

/** What can have been granted past what is proven: all choices end alike, a slice after the furthest of them. */
function mostGranted(provenTokens: readonly number[], sliceTokens: number): number {
  const end = Math.max(0, ...provenTokens) + sliceTokens;
  return sum(provenTokens.map((proven) => end - proven));
}

/** How far an answer came, by all who know: of each choice the furthest, never a sum of attempts. */
function endIndex(requestId: string, journals: Bill['journals'], stories: readonly ClientStory[]): number {
  const delivered = stories.flatMap(({ deliveries }) =>
    deliveries.filter((delivery) => delivery.requestId === requestId).map(({ tokens }) => tokens),
  );
  const all = [...journals.map(({ token_counts: counts }) => counts), ...delivered];
  const numChoices = Math.max(0, ...all.map(({ length }) => length));
  const ends = Array.from({ length: numChoices }, (_, choice) =>
    Math.max(...all.map((counts) => counts[choice] ?? 0)),
  );
  return sum(ends);
}

/** No token without a bill, but for what the rule says of a lost journal. */
function checkDelivery(client: string, delivery: Delivery, bills: readonly Bill[], verdict: Verdict): void {
  const numTokens = sum(delivery.tokens);
  if (numTokens === 0) return;
  const bill = bills.find(({ row }) => row.id === delivery.requestId);
  const missing = numTokens - (bill?.row.completion_tokens ?? 0);
  const isByRule = bill !== undefined && bill.isJournalLost && missing <= bill.row.rule_loss_tokens;
  if (missing <= 0 || isByRule) return;
  verdict.unbilledTokens += missing;
  const { requestId } = delivery;
  verdict.problems.push(
    `unbilled: ${client} got ${numTokens} tokens of ${requestId}, ${missing} are in no bill`,
  );
}

function checkTotals(facts: RoundFacts, verdict: Verdict): void {
  const { bills, ledgerTotal, directoryTotal, heldTokens, heldByBudget, strayProcesses } = facts;
  const ofBills = sumUsage(bills.map(({ row }) => ({ ...row, num_requests: 1 })));
  for (const [name, total] of Object.entries({ ledger: ledgerTotal, directory: directoryTotal })) {
    for (const field of Object.keys(ofBills) as (keyof UsageCounts)[]) {
      if (total[field] === ofBills[field]) continue;
      verdict.billedTwice += total[field] > ofBills[field] ? 1 : 0;
      verdict.problems.push(
        `totals: ${field} of the ${name} is ${total[field]}, of the bills ${ofBills[field]}`,
      );
    }
  }
  if (heldTokens !== 0) verdict.problems.push(`holds: ${heldTokens} tokens are still held`);
  if (heldByBudget !== 0) verdict.problems.push(`holds: ${heldByBudget} tokens are still held of the budget`);
  for (const stray of strayProcesses) verdict.problems.push(`leaked: ${stray}`);
}
