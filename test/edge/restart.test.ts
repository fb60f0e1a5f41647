import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminClient } from '../support/admin-client.ts';
import { RawClient } from '../support/openai-http.ts';
import { ServeProcess } from '../support/serve-process.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

let backend: ScriptedBackend;
let stateDir: string;
beforeAll(async () => {
  backend = await startScriptedBackend();
  stateDir = await mkdtemp(join(tmpdir(), 'tidar-state-'));
});
afterAll(async () => {
  await backend.close();
  await rm(stateDir, { recursive: true, force: true });
});

describe('an edge that is killed in mid-stream', () => {
  it('finds its keys and bills again, and settles what it left open by what the journal has', async () => {
    const vars = { BACKENDS: JSON.stringify([{ url: backend.url }]), SETTLE_GRACE_MS: '8000' };
    const first = await ServeProcess.start({ vars, stateDir });
    const key = await first.createKey({ requests_per_minute: 50 });
    const messages = [{ role: 'user', content: 'Hi' }];

    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.end(2);
    });
    await new RawClient(first.url, key).complete({ model: SCRIPTED_MODEL.id, messages });

    const numTokens = 10;
    backend.play(async (stage) => {
      await stage.start();
      for (let index = 0; index < numTokens; index += 1) await stage.step([4], 'a');
      await stage.seen.closed;
      // What it generates until nobody has come back for so long.
      for (let index = 0; index < 5; index += 1) await stage.step([4], 'a');
      await stage.fail('cancelled', 'The client left, and did not come back.');
    });
    const response = await new RawClient(first.url, key).post({
      model: SCRIPTED_MODEL.id,
      messages,
      stream: true,
    });
    const reader: ReadableStreamDefaultReader<Uint8Array> = response.body!.getReader();
    for (let read = ''; read.split('"content":"a"').length <= numTokens;)
      read += new TextDecoder().decode((await reader.read()).value);
    await first.killAll();

    const second = await ServeProcess.start({ vars, stateDir });
    try {
      const client = new RawClient(second.url, key);
      const abandoned = await client.lastRequest(({ state }) => state === 'settled');
      expect(abandoned).toMatchObject({
        finish_reason: 'cancelled',
        estimated: false,
        completion_tokens: 15,
      });
      const { total, key: limits } = await client.usage();
      expect(total).toMatchObject({ num_requests: 2, prompt_tokens: 6, completion_tokens: 17 });
      expect(limits.requests_per_minute).toBe(50);
      // The directory hears of every bill in the end, also of those that it had not heard of before the kill.
      const admin = new AdminClient(second.url);
      expect((await admin.get(`/keys/${limits.id}`)).body).toMatchObject({ requests_per_minute: 50 });
      await expect
        .poll(async () => (await admin.get(`/usage?key=${limits.id}`)).body, { timeout: 30_000 })
        .toMatchObject({ data: [{ num_requests: 2, completion_tokens: 17, rule_loss_tokens: 0 }] });
    } finally {
      await second.stop();
    }
  }, 240_000);
});
