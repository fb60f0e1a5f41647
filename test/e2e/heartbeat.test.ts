import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Heartbeat } from '@tidar/shared/heartbeat.ts';
import { HEARTBEAT_PATH, verifyHeartbeat } from '@tidar/shared/heartbeat.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BackendProcess, readEvents, TEST_SECRET } from '../support/backend-process.ts';

const MODEL = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
const heartbeats: Heartbeat[] = [];
let edge: Server;
let backend: BackendProcess;

beforeAll(async () => {
  edge = createServer((request, response) => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    void verifyHeartbeat(token, [TEST_SECRET], Date.now()).then((heartbeat) => {
      if (request.url === HEARTBEAT_PATH && request.method === 'POST') heartbeats.push(heartbeat);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => edge.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(edge.address() as AddressInfo).port}`;
  const args = ['--edge', `${url}/`, '--max-concurrent', '3'];
  backend = await BackendProcess.start({ modelPath: MODEL, args });
});
afterAll(async () => {
  await backend.stop('SIGKILL');
  edge.close();
});

const bodyOf = (id: string, changes: object = {}): string =>
  JSON.stringify({
    request_id: id,
    model: backend.model.id,
    input: { type: 'tokens', token_ids: [5, 6, 7] },
    max_tokens: 8,
    ignore_eos: true,
    sampling: { temperature: 0, seed: '1' },
    decoder: { type: 'ar' },
    ...changes,
  });

describe('a backend that knows of an edge', () => {
  it('tells it, again and again, where it is, what it serves and how loaded it is', async () => {
    await expect.poll(() => heartbeats.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    expect(heartbeats.at(-1)).toMatchObject({
      address: backend.url,
      protocol_version: PROTOCOL_VERSION,
      models: [backend.model],
      load: { running: 0, queued: 0, max_concurrent: 3 },
      draining: false,
    });
  });

  it('tells it what passes took, once it has served one', async () => {
    expect(heartbeats[0]).not.toHaveProperty('slot_curve');
    const body = bodyOf('one');
    await (await backend.post(body)).text();
    await expect.poll(() => heartbeats.at(-1)?.slot_curve, { timeout: 10_000 }).toHaveLength(1);
    const [[numTexts, milliseconds] = []] = heartbeats.at(-1)?.slot_curve ?? [];
    expect(numTexts).toBe(1);
    expect(milliseconds).toBeGreaterThan(0);
  });

  it('counts a generation under the names that vLLM uses', async () => {
    const names = [
      'vllm:generation_tokens_total',
      'vllm:prompt_tokens_total',
      'vllm:spec_decode_num_draft_tokens_total',
    ];
    const before = await Promise.all(names.map((name) => backend.metric(name)));
    const events = await readEvents(
      await backend.post(bodyOf('two', { trace: 'stats', decoder: { type: 'tidar', draft_length: 4 } })),
    );
    const after = await Promise.all(names.map((name) => backend.metric(name)));
    const drafts = events.reduce(
      (sum, event) => sum + (event.type === 'step' ? Math.max(0, (event.stats?.drafted ?? 0) - 1) : 0),
      0,
    );
    expect(after.map((value, index) => value - before[index]!)).toEqual([8, 3, drafts]);
    expect(drafts).toBeGreaterThan(0);
  });

  it('says that it drains before it is gone', async () => {
    expect(await backend.stop('SIGTERM')).toBe(0);
    expect(heartbeats.at(-1)).toMatchObject({ draining: true });
  });
});
