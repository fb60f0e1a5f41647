import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { startScriptedBackend } from '../support/scripted-backend.ts';
import { buildBundle, ServeProcess } from '../support/serve-process.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';

const { LEASE_SECRETS: leaseSecrets } = TEST_SECRETS;
const MODEL = 'tiny-chat';
const ask = {
  model: MODEL,
  messages: [{ role: 'user' as const, content: 'hello' }],
  max_tokens: 16,
  temperature: 0,
};
let scratch: string;
let model: TinyChatModel;
let bundle: string[];
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'tidar-rollout-'));
  model = await makeTinyChatModel();
  bundle = buildBundle(join(scratch, 'bundle'));
});
afterAll(async () => {
  await model.remove();
  rmSync(scratch, { recursive: true, force: true });
});

/** A real backend that a restart finds again: by its address, and with its journal. */
const startBackend = (port: number): Promise<BackendProcess> =>
  BackendProcess.start({
    modelPath: model.path,
    leaseSecrets,
    port,
    journal: join(scratch, `${port}.sqlite`),
  });

async function startEdge(urls: readonly string[]): Promise<{ edge: ServeProcess; openai: OpenAI }> {
  const vars = { BACKENDS: JSON.stringify(urls.map((url) => ({ url }))) };
  const edge = await ServeProcess.start({
    stateDir: mkdtempSync(join(scratch, 'edge-')),
    vars,
    args: bundle,
  });
  const apiKey = await edge.createKey({ requests_per_minute: 1_000_000 });
  return { edge, openai: new OpenAI({ baseURL: `${edge.url}/v1`, apiKey, maxRetries: 5 }) };
}

describe('a roll-out', { timeout: 240_000 }, () => {
  it('to another version of the protocol has old and new backends side by side: each edge asks its own alone', async () => {
    const old = await startScriptedBackend({ id: MODEL });
    old.speak(PROTOCOL_VERSION - 1);
    const current = await startBackend(0);
    const { edge, openai } = await startEdge([old.url, current.url]);
    try {
      for (let index = 0; index < 4; index += 1) {
        const answer = await openai.chat.completions.create(ask);
        expect(answer.system_fingerprint).toBe(current.model.fingerprint);
      }
      expect(old.seen).toEqual([]);
      const health = (await (await fetch(`${edge.url}/health`)).json()) as { backends: { status: string }[] };
      expect(health.backends.map(({ status }) => status).sort()).toEqual(['incompatible', 'ok']);
    } finally {
      await edge.stop();
      await current.stop();
      await old.close();
    }
  });

  it('of backends one after the other loses no request of a client that retries as OpenAI’s does', async () => {
    const ports = [await anyFreePort(), await anyFreePort()];
    let backends = await Promise.all(ports.map(startBackend));
    const { edge, openai } = await startEdge(backends.map(({ url }) => url));
    const answers: string[] = [];
    let isRolledOut = false;
    const client = async (): Promise<void> => {
      while (!isRolledOut) {
        const answer = await openai.chat.completions.create(ask);
        answers.push(`${answer.choices[0]?.finish_reason} ${answer.choices[0]?.message.content}`);
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    try {
      for (const [index, port] of ports.entries()) {
        const before = answers.length;
        expect(await backends[index]!.stop()).toBe(0);
        backends = backends.with(index, await startBackend(port));
        await expect.poll(() => answers.length, { timeout: 60_000 }).toBeGreaterThan(before + 3);
      }
      isRolledOut = true;
      await clients;
      expect(new Set(answers).size).toBe(1);
    } finally {
      isRolledOut = true;
      await edge.stop();
      await Promise.all(backends.map((backend) => backend.stop()));
    }
  });
});
