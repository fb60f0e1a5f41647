import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tokenizer } from '../../gpu-backend/src/model/tokenizer.ts';
import type { UsageReport } from '../../edge/src/ledger/types.ts';
import { pacedText } from './paced-text.ts';
import { type Quantiles, quantilesOf } from './quantiles.ts';
import { messagesOf, post, textOf } from './sse-client.ts';
import { residentMiB, type System } from './system.ts';

export interface LoadOptions {
  readonly numStreams: number;
  /** Of each stream. */
  readonly numTokens: number;
  readonly numKeys: number;
  /** Within which all streams begin. */
  readonly rampMs: number;
  /** How long calls are refused, of either kind. */
  readonly refusedMs: number;
  readonly tokenizer: Tokenizer;
  readonly onProgress?: (what: string) => void;
}

export interface Memory {
  readonly edge: number;
  readonly backend: number;
}

export interface LoadResult {
  readonly numStreams: number;
  /** Streams that were open at one time, each with a token behind it and tokens to come. */
  readonly mostAtOnce: number;
  /** One sentence for each stream that was not whole, or whose bill is another. */
  readonly lost: readonly string[];
  /** Milliseconds. */
  readonly firstToken: Quantiles;
  /** How much later than its pace each stream ended, milliseconds. */
  readonly late: Quantiles;
  readonly tokensPerSecond: number;
  /** Calls a second. */
  readonly refused: { readonly wrongKey: number; readonly overLimit: number };
  /** MiB: before, with all streams open, and after. */
  readonly memory: { readonly before: Memory; readonly atMost: Memory; readonly after: Memory };
}

const REFUSED_AT_ONCE = 32;
const SETTLE_LIMIT_MS = 30_000;

/** Holds so many streams at once, counts what each of them got and is billed, then lets calls be refused. */
export async function benchLoad(system: System, paceMs: number, options: LoadOptions): Promise<LoadResult> {
  const { numStreams, numKeys, numTokens, tokenizer, onProgress } = options;
  const limits = { requests_per_minute: 1_000_000 };
  const keys = await Promise.all(Array.from({ length: numKeys }, () => system.edge.createKey(limits)));
  const wanted = pacedText(tokenizer, numTokens);
  const held = new Held();
  const before = memoryOf(system);
  let atMost = before;
  const sampler = setInterval(() => {
    const now = memoryOf(system);
    atMost = { edge: Math.max(atMost.edge, now.edge), backend: Math.max(atMost.backend, now.backend) };
    onProgress?.(`${held.now} streams open`);
  }, 500);
  const agent = new Agent({ keepAlive: true });
  const startedAt = performance.now();
  try {
    const streams = await Promise.all(
      Array.from({ length: numStreams }, async (_, index) => {
        await sleep((options.rampMs * index) / numStreams);
        const key = keys[index % keys.length] ?? '';
        return oneStream(agent, system, { key, numTokens, wanted, held });
      }),
    );
    const seconds = (performance.now() - startedAt) / 1000;
    const lost = streams.flatMap(({ problem }, index) => (problem ? [`stream ${index}: ${problem}`] : []));
    lost.push(...(await wrongBills(system, keys, streams)));
    return {
      numStreams,
      mostAtOnce: held.most,
      lost,
      firstToken: quantilesOf(streams.map(({ firstMs }) => firstMs)),
      late: quantilesOf(streams.map(({ totalMs }) => totalMs - paceMs * numTokens)),
      tokensPerSecond: streams.reduce((sum, one) => sum + one.numTokens, 0) / seconds,
      refused: await benchRefusals(agent, system, options.refusedMs),
      memory: { before, atMost, after: memoryOf(system) },
    };
  } finally {
    clearInterval(sampler);
    agent.destroy();
  }
}

const memoryOf = ({ workerdId, backend }: System): Memory => ({
  edge: residentMiB(workerdId),
  backend: residentMiB(backend.child.pid ?? 0),
});

/** Streams between their first token and their last. */
class Held {
  now = 0;
  most = 0;

  add(change: 1 | -1): void {
    this.now += change;
    this.most = Math.max(this.most, this.now);
  }
}

interface Wanted {
  readonly key: string;
  readonly numTokens: number;
  readonly wanted: string;
  readonly held: Held;
}

interface Streamed {
  readonly key: string;
  readonly firstMs: number;
  readonly totalMs: number;
  /** As the stream's usage says. */
  readonly numTokens: number;
  readonly problem: string | undefined;
}

interface Chunk {
  readonly choices?: {
    readonly delta: { readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly code: string };
}

async function oneStream(agent: Agent, system: System, { key, held, ...asked }: Wanted): Promise<Streamed> {
  const startedAt = performance.now();
  const since = (): number => performance.now() - startedAt;
  let [text, firstMs, numTokens, isDone] = ['', NaN, 0, false];
  let problem: string | undefined;
  try {
    for await (const { data } of messagesOf(await post(agent, streamPost(system, key, asked.numTokens)))) {
      if (data === '[DONE]') {
        isDone = true;
        continue;
      }
      const { choices = [], usage, error } = JSON.parse(data) as Chunk;
      if (error !== undefined) throw new Error(error.code);
      const content = choices[0]?.delta.content ?? '';
      if (content !== '' && text === '') {
        firstMs = since();
        held.add(1);
      }
      text += content;
      numTokens = usage?.completion_tokens ?? numTokens;
    }
  } catch (thrown) {
    problem = String(thrown);
  }
  if (text !== '') held.add(-1);
  if (text !== asked.wanted) problem ??= `${text.length} of ${asked.wanted.length} characters`;
  if (!isDone || numTokens !== asked.numTokens)
    problem ??= `${numTokens} tokens, ${isDone ? '' : 'not '}done`;
  return { key, firstMs, totalMs: since(), numTokens, problem };
}

function streamPost({ edge, backend }: System, key: string, numTokens: number) {
  return {
    url: `${edge.url}/v1/chat/completions`,
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: backend.model.id,
      messages: [{ role: 'user', content: 'How many apples?' }],
      max_tokens: numTokens,
      stream: true,
      stream_options: { include_usage: true },
      tidar: { ignore_eos: true },
    }),
  };
}

/** Each key's bills come to what its streams got, and nothing is held any more. */
async function wrongBills(
  { edge }: System,
  keys: readonly string[],
  streams: readonly Streamed[],
): Promise<string[]> {
  const problems: string[] = [];
  for (const [index, key] of keys.entries()) {
    const own = streams.filter((one) => one.key === key);
    const numTokens = own.reduce((sum, one) => sum + one.numTokens, 0);
    const usage = await settledUsage(edge.url, key);
    const { total, held_tokens: heldTokens } = usage;
    if (total.completion_tokens === numTokens && total.num_requests === own.length && heldTokens === 0)
      continue;
    const bills = `${total.num_requests} bills of ${total.completion_tokens} tokens, ${heldTokens} held`;
    problems.push(`key ${index}: ${bills}, for ${own.length} streams of ${numTokens}`);
  }
  return problems;
}

/** What a key's ledger says once nothing is held. */
export async function settledUsage(edgeUrl: string, key: string): Promise<UsageReport> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(`${edgeUrl}/v1/usage?limit=100`, { headers });
    const usage = (await response.json()) as UsageReport;
    const isSettled = usage.held_tokens === 0 && usage.requests.every(({ state }) => state === 'settled');
    if (isSettled || performance.now() > deadline) return usage;
    await sleep(200);
  }
}

async function benchRefusals(
  agent: Agent,
  system: System,
  durationMs: number,
): Promise<LoadResult['refused']> {
  const wrong = `tdr_${'0'.repeat(16)}_${'0'.repeat(32)}_${'0'.repeat(16)}`;
  const limited = await system.edge.createKey({ requests_per_minute: 1 });
  await refusedCall(agent, system, limited);
  return {
    wrongKey: await callsPerSecond(agent, system, { key: wrong, status: 401 }, durationMs),
    overLimit: await callsPerSecond(agent, system, { key: limited, status: 429 }, durationMs),
  };
}

async function callsPerSecond(
  agent: Agent,
  system: System,
  { key, status }: { key: string; status: number },
  durationMs: number,
): Promise<number> {
  const startedAt = performance.now();
  let numCalls = 0;
  const work = async (): Promise<void> => {
    while (performance.now() - startedAt < durationMs) {
      const got = await refusedCall(agent, system, key);
      if (got !== status) throw new Error(`a call was answered with ${got}, not refused with ${status}`);
      numCalls += 1;
    }
  };
  await Promise.all(Array.from({ length: REFUSED_AT_ONCE }, work));
  return (1000 * numCalls) / (performance.now() - startedAt);
}

async function refusedCall(agent: Agent, system: System, key: string): Promise<number> {
  const { status, stream } = await post(agent, streamPost(system, key, 1));
  await textOf(stream);
  return status;
}
