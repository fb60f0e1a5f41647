import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { RawClient, readChunks } from '../support/openai-http.ts';
import { buildBundle } from '../support/serve-process.ts';
import { benchEdge } from './edge-bench.ts';
import { benchLoad } from './load-bench.ts';
import { soak, SOAK_SYSTEM } from './soak.ts';
import { residentMiB, System } from './system.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const QUESTION = 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?';

let folder: string;
let bundle: string;
let system: System;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidar-load-test-'));
  bundle = join(folder, 'bundle');
  buildBundle(bundle);
  system = await System.start({ ...SOAK_SYSTEM, bundle });
});
afterAll(async () => {
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

type Line = Readonly<Record<string, string | number | undefined>>;

/** The lines of a log that are of this request; every line that is no sentence of the start is JSON. */
const linesOf = (output: string, requestId: string): Line[] =>
  output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line['request_id'] === requestId);

async function waitFor<Value>(find: () => Value | undefined): Promise<Value> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const value = find();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error('it never came');
    await sleep(50);
  }
}

describe('the logs of edge and backend', () => {
  it('tell one request by one id and one trace, which is the client’s own where it has one', async () => {
    const key = await system.edge.createKey();
    const client = new RawClient(system.edge.url, key);
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'rojo=1' };
    const messages = [{ role: 'user', content: QUESTION }];
    const fields = { model: system.backend.model.id, messages, max_tokens: 100, stream: true };
    const response = await fetch(`${system.edge.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers, authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...fields, tidar: { ignore_eos: true } }),
    });
    const requestId = response.headers.get('x-request-id')!;
    const { isDone } = await readChunks(response);
    expect(isDone).toBe(true);
    const ofEdge = await waitFor(() =>
      linesOf(system.edge.output, requestId).find(({ event }) => event === 'answer_end'),
    );
    expect(ofEdge).toMatchObject({ trace_id: TRACE, parent_span_id: PARENT, outcome: 'length', attempts: 1 });
    expect(ofEdge['completion_tokens']).toBe(100);
    expect(Number(ofEdge['first_token_ms'])).toBeLessThanOrEqual(Number(ofEdge['ms']));
    expect(response.headers.get('traceresponse')).toBe(`00-${TRACE}-${ofEdge['span_id']}-01`);
    const ofBackend = linesOf(system.backend.output, requestId);
    // Its slices are renewed on the way, by calls of their own.
    expect(new Set(ofBackend.map(({ event }) => event))).toEqual(new Set(['request_end', 'lease_renewed']));
    for (const line of ofBackend)
      expect(line).toMatchObject({ trace_id: TRACE, parent_span_id: ofEdge['span_id'] });
    await client.lastRequest(({ state }) => state === 'settled');
  });

  it('tell who reads an answer again, and the ledger’s own question by the request’s trace', async () => {
    const key = await system.edge.createKey();
    const client = new RawClient(system.edge.url, key);
    const leaver = new AbortController();
    const messages = [{ role: 'user', content: QUESTION }];
    // Long enough that it runs when its reader leaves.
    const asked = { model: system.backend.model.id, messages, max_tokens: 900, stream: true };
    const first = await client.post({ ...asked, tidar: { ignore_eos: true, decoder: 'ar' } }, leaver.signal);
    const requestId = first.headers.get('x-request-id')!;
    await first.body?.getReader().read();
    leaver.abort();
    await client.lastRequest(({ state }) => state === 'settled');
    const trace = requestId.replace('req_', '');
    const ofLedger = linesOf(system.backend.output, requestId).filter(
      ({ event }) => event === 'request_read',
    );
    expect(ofLedger.length).toBeGreaterThan(0);
    for (const line of ofLedger) expect(line['trace_id']).toBe(trace);
    const again = await fetch(`${system.edge.url}/v1/responses/${requestId}?stream=true`, {
      headers: { authorization: `Bearer ${key}`, traceparent: `00-${TRACE}-${PARENT}-00` },
    });
    await again.text();
    const read = await waitFor(() =>
      linesOf(system.backend.output, requestId).find((line) => line['trace_id'] === TRACE),
    );
    expect(read['event']).toBe('request_read');
    const answerEnd = await waitFor(() =>
      linesOf(system.edge.output, again.headers.get('x-request-id')!).find(
        ({ event }) => event === 'answer_end',
      ),
    );
    expect(answerEnd).toMatchObject({ answer_id: requestId });
  });

  it('have no key, no lease, no prompt and no text in them', async () => {
    const key = await system.edge.createKey();
    const answer = await new RawClient(system.edge.url, key).complete({
      model: system.backend.model.id,
      messages: [{ role: 'user', content: QUESTION }],
      max_tokens: 30,
    });
    const [{ message } = { message: { content: '' } }] = answer.choices;
    const logs = system.edge.output + system.backend.output;
    expect(message.content.length).toBeGreaterThan(3);
    for (const secret of [...Object.values(TEST_SECRETS), key, QUESTION.slice(0, 12), message.content])
      expect(logs).not.toContain(secret);
    expect(logs).not.toMatch(/Bearer|"text"|token_ids/);
  });
});

describe('the benches of the system', () => {
  it('ask edge and backend in turns, and the edge’s part is the difference of each pair', async () => {
    const { numPairs, direct, edge, added } = await benchEdge(system, {
      numPairs: 8,
      numWarmUps: 2,
      seed: 3,
    });
    expect(numPairs).toBe(8);
    for (const { p50, p99, most } of [direct, edge]) {
      expect(p50).toBeGreaterThan(0);
      expect(most).toBeGreaterThanOrEqual(p99);
    }
    expect(added.most).toBeGreaterThan(edge.p50 - direct.most - 1e-9);
  });

  it('soak the system with every kind of call, and find books and engine in order', async () => {
    const result = await soak(system, { durationMs: 4_000, seed: 'short', numClients: 4 });
    expect(result.problems).toEqual([]);
    expect(result.numCalls).toBeGreaterThan(5);
    expect(result.edge.first).toBeGreaterThan(10);
    expect(result.backend.last).toBeGreaterThan(10);
  });

  it('measure the memory of the processes themselves', () => {
    expect(residentMiB(process.pid)).toBeCloseTo(process.memoryUsage.rss() / 2 ** 20, -2);
  });
});

describe('many streams at once', () => {
  it('lose no token and no bill, each with slices of its own, and what is refused is counted', async () => {
    const { tokenizer } = loadModelFolder(DEMO_MODEL);
    const paceMs = 60;
    const args = ['--max-concurrent', '40', '--max-waiting', '40'];
    const paced = await System.start({ paceMs, backendArgs: args, vars: { SLICE_TOKENS: '8' }, bundle });
    try {
      const options = { numStreams: 40, numTokens: 20, numKeys: 3, rampMs: 200, refusedMs: 300 };
      const result = await benchLoad(paced, paceMs, { ...options, tokenizer: tokenizer! });
      expect(result.lost).toEqual([]);
      expect(result.mostAtOnce).toBeGreaterThan(20);
      expect(result.refused.wrongKey).toBeGreaterThan(0);
      expect(result.refused.overLimit).toBeGreaterThan(0);
    } finally {
      expect(await paced.stop()).toEqual({ edge: 0, backend: 0 });
    }
  });

  it('are lost where a text is not whole: the bench says which', async () => {
    const { tokenizer } = loadModelFolder(DEMO_MODEL);
    const options = { numStreams: 2, numTokens: 4, numKeys: 1, rampMs: 0, refusedMs: 0 };
    // The real model says something else than the paced one would.
    const { lost } = await benchLoad(system, 0, { ...options, tokenizer: tokenizer! });
    expect(lost.map((sentence) => sentence.split(':')[0])).toEqual(['stream 0', 'stream 1']);
  });
});
