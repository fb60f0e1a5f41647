import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../support/open-question.ts';
import { extractAnswer } from '../../gpu-backend/src/data/extract-answer.ts';
import type { EdgeRequest } from '../support/start-process.ts';
import { descendantsOf, isAlive, occupyPort, processesWith, StartProcess } from '../support/start-process.ts';

const run = promisify(execFile);
const questions = JSON.parse(
  readFileSync(new URL('../fixtures/questions.json', import.meta.url), 'utf8'),
) as {
  question: string;
  expected: string;
}[];
/** Of the 20 questions; none of them was in the model’s data, which gets more than nine of ten of their kinds right. */
const NUM_RIGHT_WANTED = 18;

let folder: string;
let statePath: string;
let ports: { port: number; server: Server }[];
let system: StartProcess;

/** From another folder than the repository's, with its ports taken: so must it start as well. */
async function startSystem(): Promise<StartProcess> {
  const [edge, backend] = ports;
  const args = ['--port', `${edge!.port}`, '--backend-port', `${backend!.port}`, '--state', statePath];
  return StartProcess.start(args, folder);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidar start '));
  statePath = join(folder, 'the state');
  ports = [await occupyPort(), await occupyPort()];
  system = await startSystem();
}, 400_000);

afterAll(async () => {
  await (system as StartProcess | undefined)?.stop(); // undefined where the start failed
  for (const { server } of ports) server.close();
  rmSync(folder, { recursive: true, force: true });
});

function chat(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    model: system.model,
    temperature: 0,
    messages: [{ role: 'user', content: questions[0]!.question }],
    ...changes,
  });
}

async function answerTo(question: string): Promise<string> {
  const body = chat({ messages: [{ role: 'user', content: question }] });
  const response = await system.fetch('/v1/chat/completions', { method: 'POST', body });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]?.message.content ?? '';
}

describe('npm start', () => {
  it('tells what it runs and why, and takes the next port where one is taken', () => {
    const [edge, backend] = ports;
    const usedInstead = (name: string, port: number): number => {
      const sentence = new RegExp(`^Port ${port} is taken: the ${name} uses (\\d+) instead\\.$`, 'm');
      return Number(sentence.exec(system.output)?.[1]);
    };
    expect(usedInstead('backend', backend!.port)).toBeGreaterThan(backend!.port);
    expect(system.url).toBe(`http://127.0.0.1:${usedInstead('edge', edge!.port)}`);
    for (const fact of [
      /model +\S+: llama, [\d.]+M parameters/,
      /thread\(s\): /,
      /fingerprint +fp_[0-9a-f]{24}/,
    ]) {
      expect(system.output).toMatch(fact);
    }
  });

  it('prints one command, whose answer streams and is right', async () => {
    expect(system.output.match(/^curl /gm)).toHaveLength(1);
    const { stdout } = await runCommand(system.command);
    const chunks = [...stdout.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json!) as Chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(extractAnswer(text)).toBe('47');
    expect(chunks.length).toBeGreaterThan(2);
    expect(stdout.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  it('names two more questions of kinds that the demo model answers right', async () => {
    const [, shown = ''] = /like these, .*:\n\n((?: {2}\S.*\n)+)/.exec(system.output) ?? [];
    const [problem, fact, ...more] = shown
      .trimEnd()
      .split('\n')
      .map((line) => line.trim());
    expect(more).toEqual([]);
    expect(extractAnswer(await answerTo(problem!))).toBe('35');
    expect(await answerTo(fact!)).toBe('The capital of Kenya is Nairobi.');
  });

  it('runs once over its state: a second one is refused by a sentence', async () => {
    const second = startSystem();
    await expect(second).rejects.toThrow(
      /Process \d+ runs the system over .*; end it first, or give another --state/,
    );
    expect((await system.fetch('/v1/models')).status).toBe(200);
  });

  it('keeps its secrets to its owner', () => {
    expect(statSync(statePath).mode & 0o777).toBe(0o700);
    for (const name of ['secrets.json', 'edge.env', 'demo-key']) {
      expect(statSync(join(statePath, name)).mode & 0o777).toBe(0o600);
    }
    const { adminToken, leaseSecret } = JSON.parse(readFileSync(join(statePath, 'secrets.json'), 'utf8')) as {
      adminToken: string;
      leaseSecret: string;
    };
    expect(processesWith(adminToken)).toEqual([]);
    expect(processesWith(leaseSecret)).toEqual([]);
    expect(system.output).not.toContain(adminToken);
  });
});

describe('the official openai client', () => {
  it(`gets at least ${NUM_RIGHT_WANTED} of ${questions.length} unseen problems right, streaming or not`, async () => {
    const client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.key, maxRetries: 0 });
    let numRight = 0;
    for (const { question, expected } of questions) {
      const request = {
        model: system.model,
        temperature: 0,
        messages: [{ role: 'user' as const, content: question }],
      };
      const whole = await client.chat.completions.create(request);
      let streamed = '';
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
        streamed += chunk.choices[0]?.delta.content ?? '';
      }
      const text = whole.choices[0]?.message.content ?? '';
      expect(streamed).toBe(text);
      expect(whole.usage?.completion_tokens).toBeGreaterThan(0);
      if (extractAnswer(text) === expected) numRight += 1;
    }
    expect(numRight).toBeGreaterThanOrEqual(NUM_RIGHT_WANTED);
  }, 400_000);

  it('gets a text of its own for every seed, the same from plain autoregression and from every plan', async () => {
    const client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.key, maxRetries: 0 });
    const ask = async (seed: number, tidar: object): Promise<string | null | undefined> => {
      const messages = [{ role: 'user' as const, content: OPEN_QUESTION }];
      const request = { model: system.model, temperature: 0.8, seed, max_tokens: 60, messages };
      const answer = await client.chat.completions.create({ ...request, ...{ tidar } });
      return answer.choices[0]?.message.content;
    };
    const decoders = [
      { decoder: 'tidar' },
      { decoder: 'tidar', plan: 'dense', draft_length: 5 },
      ...['sparse', 'branches', 'two-pass'].map((plan) => ({ decoder: 'tidar', plan })),
    ];
    const texts = new Set<unknown>();
    for (const seed of [11, 12, 13]) {
      const text = await ask(seed, { decoder: 'ar' });
      texts.add(text);
      for (const decoder of decoders) expect(await ask(seed, decoder)).toBe(text);
    }
    expect(texts.size).toBe(3);
  });

  it('lists the model', async () => {
    const client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.key });
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toEqual([system.model]);
  });
});

describe('a bad request gets its status and a sentence that helps', () => {
  const long = 'word '.repeat(20_000);
  it.each<[string, () => EdgeRequest, number, RegExp]>([
    ['no key', () => ({ headers: { authorization: '' } }), 401, /key/i],
    ['a wrong key', () => ({ headers: { authorization: 'Bearer tdr_wrong' } }), 401, /key/i],
    ['a forged key', () => ({ headers: { authorization: `Bearer ${forge(system.key)}` } }), 401, /key/i],
    ['bad JSON', () => ({ body: '{"model": ' }), 400, /not valid JSON/],
    ['an unknown model', () => ({ body: chat({ model: 'gpt-9' }) }), 404, /gpt-9/],
    [
      'a prompt that is too long',
      () => ({ body: chat({ messages: [{ role: 'user', content: long }] }) }),
      400,
      /context/,
    ],
    ['an unknown parameter', () => ({ body: chat({ tempo: 1 }) }), 400, /tempo/],
    ['max_tokens 0', () => ({ body: chat({ max_tokens: 0 }) }), 400, /max_tokens.*1 or more/],
  ])('%s', async (_, init, status, sentence) => {
    const response = await system.fetch('/v1/chat/completions', { method: 'POST', body: chat(), ...init() });
    const { error } = (await response.json()) as { error: { message: string; type: string } };
    expect(response.status).toBe(status);
    expect(error.message).toMatch(sentence);
    expect(error.type).toBe('invalid_request_error');
  });
});

describe('the end of npm start', () => {
  it('leaves no process behind, and the next start takes the same key', async () => {
    const { key } = system;
    const processIds = descendantsOf(system.child.pid!);
    expect(processIds.length).toBeGreaterThanOrEqual(5); // two guards, backend, wrangler, workerd
    expect(await system.stop('SIGINT')).toBe(0);
    expect(processIds.filter(isAlive)).toEqual([]);
    system = await startSystem();
    expect(system.key).toBe(key);
    const response = await system.fetch('/v1/chat/completions', {
      method: 'POST',
      body: chat({ max_tokens: 3 }),
    });
    expect(response.status).toBe(200);
  });

  it('is told in a sentence when a part of it dies, and takes the rest with it', async () => {
    const processIds = descendantsOf(system.child.pid!);
    const [backendId] = processesWith('server/main.ts').filter(
      (id) => processIds.includes(id) && descendantsOf(id).length === 0,
    );
    process.kill(backendId!, 'SIGKILL');
    expect(await system.ended()).toBe(1);
    expect(system.output).toMatch(/The backend ended unexpectedly \(exit code \d+\)\./);
    expect(processIds.filter(isAlive)).toEqual([]);
  });

  it('leaves no process behind even when it is killed itself', async () => {
    system = await startSystem();
    const processIds = descendantsOf(system.child.pid!);
    await system.stop('SIGKILL');
    for (let tries = 0; processIds.some(isAlive) && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(processIds.filter(isAlive)).toEqual([]);
  });
});

interface Chunk {
  choices: { delta: { content?: string } }[];
}

/** The same key with another secret. */
const forge = (key: string): string =>
  key.replace(/_(.)(.{31})_/, (_, first: string, rest: string) => `_${first === 'a' ? 'b' : 'a'}${rest}_`);

/** Runs the printed line in a shell; where there is no curl, sends what it says. */
async function runCommand(command: string): Promise<{ stdout: string }> {
  const hasCurl = await run('curl', ['--version']).then(
    () => true,
    () => false,
  );
  if (hasCurl) return run('sh', ['-c', command], { maxBuffer: 64 << 20 });
  const body = /-d '(.*)'$/.exec(command)?.[1] ?? '';
  return { stdout: await (await system.fetch('/v1/chat/completions', { method: 'POST', body })).text() };
}
