import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sumUsage } from '../../edge/src/ledger/usage.ts';
import type { DailyUsage, RequestRecord, UsageCounts } from '../../edge/src/ledger/types.ts';
import { Random } from '../chaos/random.ts';
import { AdminClient } from '../support/admin-client.ts';
import { settledUsage } from './load-bench.ts';
import { act, type Books, newBooks } from './soak-clients.ts';
import { residentMiB, type System, type SystemOptions } from './system.ts';
import { type Sample, type Trend, trendOf } from './trend.ts';

export interface SoakOptions {
  readonly durationMs: number;
  readonly seed: string;
  /** Clients at once, each with one call after the other. */
  readonly numClients: number;
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

export interface SoakResult {
  readonly numCalls: number;
  /** By what was done. */
  readonly calls: Readonly<Record<string, number>>;
  readonly edge: Trend;
  readonly backend: Trend;
  /** One sentence for each law that was broken; none: clean. */
  readonly problems: readonly string[];
}

/**
 * Clients that left are settled soon, every other answer needs a second slice, and what keeps prefixes is full within
 * a minute: what grows after that has no bound.
 */
export const SOAK_SYSTEM: SystemOptions = {
  backendArgs: ['--client-grace-ms', '1000', '--prefix-cache-mib', '16'],
  vars: { LEAVE_GRACE_MS: '1300', SLICE_TOKENS: '32' },
};

const SAMPLES = 400;
const LEAST_INTERVAL_MS = 250;
const WARM_UP_SHARE = 1 / 3;
const PAUSE_MS = 150;
const IDLE_LIMIT_MS = 30_000;

/** Mixed load for so long, then what must be so once it has ended. */
export async function soak(system: System, options: SoakOptions): Promise<SoakResult> {
  const { durationMs, seed, numClients, onProgress, signal } = options;
  const books = await newBooks(system);
  const samples: { edge: Sample[]; backend: Sample[] } = { edge: [], backend: [] };
  const startedAt = performance.now();
  const sample = (): void => {
    const seconds = (performance.now() - startedAt) / 1000;
    samples.edge.push({ seconds, value: residentMiB(system.workerdId) });
    samples.backend.push({ seconds, value: residentMiB(system.backend.child.pid ?? 0) });
    onProgress?.(`${Math.round(seconds)} s, ${books.numCalls} calls, ${books.problems.length} problems`);
  };
  const sampler = setInterval(sample, Math.max(LEAST_INTERVAL_MS, durationMs / SAMPLES));
  const agent = new Agent({ keepAlive: true });
  const isOver = (): boolean => performance.now() - startedAt > durationMs || signal?.aborted === true;
  const client = async (index: number): Promise<void> => {
    const random = new Random(`${seed} ${index}`);
    while (!isOver()) {
      await act(system, agent, books, random);
      await sleep(random.whole(0, PAUSE_MS));
    }
  };
  try {
    await Promise.all(Array.from({ length: numClients }, (_, index) => client(index)));
    sample();
  } finally {
    clearInterval(sampler);
    agent.destroy();
  }
  return {
    numCalls: books.numCalls,
    calls: Object.fromEntries(books.calls),
    edge: trendOf(samples.edge, WARM_UP_SHARE),
    backend: trendOf(samples.backend, WARM_UP_SHARE),
    problems: [...books.problems, ...(await brokenLaws(system, books))],
  };
}

/** What must be so once nobody asks any more. */
async function brokenLaws(system: System, books: Books): Promise<string[]> {
  return [
    ...(await wrongLedgers(system, books)),
    ...(await wrongLeavers(system, books)),
    ...(await wrongEngine(system)),
  ];
}

const FIELDS = ['prompt_tokens', 'completion_tokens', 'cached_tokens'] as const;

/** Each ledger comes to what its clients saw, the directory to what the ledger says, and nothing is held. */
async function wrongLedgers({ edge }: System, books: Books): Promise<string[]> {
  const problems: string[] = [];
  for (const key of [...books.plain, books.limited, books.leavers]) {
    const { total, held_tokens: held, key: view } = await settledUsage(edge.url, key);
    if (held !== 0) problems.push(`key ${view.id} still holds ${held} tokens`);
    const seen = books.seen.get(key);
    for (const field of seen === undefined ? [] : FIELDS) {
      if (total[field] === seen?.[field]) continue;
      problems.push(
        `key ${view.id} is billed ${total[field]} ${field}, its clients saw ${seen?.[field] ?? 0}`,
      );
    }
    const directory = await directoryTotal(edge.url, view.id, total);
    for (const field of FIELDS) {
      if (directory[field] === total[field]) continue;
      problems.push(
        `key ${view.id}: the directory has ${directory[field]} ${field}, the ledger ${total[field]}`,
      );
    }
  }
  return problems;
}

/** The directory hears of totals some seconds late. */
async function directoryTotal(edgeUrl: string, keyId: string, wanted: UsageCounts): Promise<UsageCounts> {
  const deadline = performance.now() + IDLE_LIMIT_MS;
  for (;;) {
    const { body } = await new AdminClient(edgeUrl).get<{ data: DailyUsage[] }>(`/usage?key=${keyId}`);
    const total = sumUsage(body.data);
    if (FIELDS.every((field) => total[field] === wanted[field]) || performance.now() > deadline) return total;
    await sleep(500);
  }
}

/** Who left is billed at least what had come, by a bill that is final. */
async function wrongLeavers({ edge }: System, { leavers, left }: Books): Promise<string[]> {
  const headers = { authorization: `Bearer ${leavers}` };
  const problems: string[] = [];
  for (const { requestId, numTokens } of left) {
    const response = await fetch(`${edge.url}/v1/usage/requests/${requestId}`, { headers });
    const {
      state,
      completion_tokens: billed,
      estimated,
    } = ((await response.json()) as { request: RequestRecord }).request;
    if (state === 'settled' && !estimated && billed >= numTokens) continue;
    problems.push(`${requestId} is ${state}, billed ${billed} of ${numTokens} tokens that came`);
  }
  return problems;
}

/** The engine checks itself whenever it is idle: what leaks ends its thread with a line in the log. */
async function wrongEngine({ backend }: System): Promise<string[]> {
  const problems: string[] = [];
  const deadline = performance.now() + IDLE_LIMIT_MS;
  for (const name of ['vllm:num_requests_running', 'vllm:num_requests_waiting']) {
    while ((await backend.metric(name)) !== 0 && performance.now() < deadline) await sleep(100);
    const value = await backend.metric(name);
    if (value !== 0) problems.push(`${name} is ${value} though nobody asks`);
  }
  const bad = backend.output.split('\n').filter((line) => /"engine_(error|crashed)"/.test(line));
  return [...problems, ...bad.map((line) => `the backend's log: ${line}`)];
}
