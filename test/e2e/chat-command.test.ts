import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../support/open-question.ts';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { RawClient } from '../support/openai-http.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const CHAT = fileURLToPath(new URL('../../gpu-backend/src/cli/chat.ts', import.meta.url));
const QUESTION = 'What is the capital of Kenya?';
const PROBLEM = 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?';
/** Of an answer: its head and some of its first chunks. */
const BYTES_OF_SOME_CHUNKS = 3000;

let backend: BackendProcess;
let edge: EdgeHarness;
let key: string;
let keyFile: string;
/** Between the chat and the edge. */
let wire: TcpProxy;
const folder = mkdtempSync(join(tmpdir(), 'tidar-chat-'));
beforeAll(async () => {
  backend = await BackendProcess.start({ modelPath: DEMO_MODEL, leaseSecrets: TEST_SECRETS.LEASE_SECRETS });
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
  wire = await TcpProxy.start(edge.url);
  key = await edge.createKey();
  keyFile = join(folder, 'key');
  writeFileSync(keyFile, `${key}\n`);
});
afterAll(async () => {
  await wire?.close();
  await edge?.close();
  await backend?.stop();
  rmSync(folder, { recursive: true });
});

interface Session {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
}

/** The real command; `env` in place of a person's, which may have colours of its own. */
function chat(args: readonly string[], env: Record<string, string> = {}): Session {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [CHAT, '--url', wire.url, ...args], {
    env: { PATH, TIDAR_API_KEY: key, ...env },
  });
  const session: Session = { child, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => void (session.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (session.stderr += chunk.toString()));
  return session;
}

async function ended({ child }: Session): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Says all lines at once and waits for the end. */
async function converse(lines: readonly string[], args: readonly string[] = [], env = {}): Promise<Session> {
  const session = chat(args, env);
  session.child.stdin?.end(`${lines.join('\n')}\n`);
  await ended(session);
  return session;
}

/** Pieces of a text that begin with a foreground colour, such as `36mThe`. */
const colouredRuns = (text: string): string[] =>
  text.split('\u001B[').filter((piece) => /^3[1-8]m./.test(piece));

const apiText = async (content: string, changes: object = {}): Promise<string> => {
  const body = { model: 'demo', temperature: 0, messages: [{ role: 'user', content }], ...changes };
  return (await new RawClient(edge.url, key).complete(body)).choices[0]?.message.content ?? '';
};

describe('npm run chat', () => {
  it("prints the API's own answer and what its passes took, without colours into a pipe", async () => {
    const { child, stdout, stderr } = await converse([], [QUESTION]);
    const [answer, statistics] = stdout.trim().split('\n');
    expect(answer).toBe(await apiText(QUESTION));
    const [, tokens, passes, rate] =
      /^(\d+) tokens in (\d+) passes · ([\d.]+) tokens\/forward · \d+ tokens\/s · [\d.]+ rows\/pass · plan auto/.exec(
        statistics ?? '',
      ) ?? [];
    expect(Number(rate)).toBeCloseTo((Number(tokens) - 1) / (Number(passes) - 1), 2);
    expect(Number(rate)).toBeGreaterThan(1);
    expect([stderr, child.exitCode]).toEqual(['', 0]);
    expect(stdout).toBe(stripVTControlCharacters(stdout));
  });

  it('gives each pass a colour of its own where colours are wanted, and none with NO_COLOR', async () => {
    const { stdout } = await converse([], [QUESTION], { FORCE_COLOR: '1' });
    const passes = Number(/in (\d+) passes/.exec(stdout)?.[1]);
    const runs = colouredRuns(stdout.split('\n')[0] ?? '');
    expect(runs.length).toBeGreaterThan(1);
    expect(runs.length).toBeLessThanOrEqual(passes);
    expect(runs[0]?.slice(0, 2)).not.toBe(runs[1]?.slice(0, 2));
    expect(stripVTControlCharacters(stdout).split('\n')[0]).toBe(await apiText(QUESTION));
    const plain = await converse([], [QUESTION], { FORCE_COLOR: '0', NO_COLOR: '1' });
    expect(plain.stdout).toBe(stripVTControlCharacters(plain.stdout));
  });

  it('decodes as it is told from line to line, and finds in a race one text at two speeds', async () => {
    const { stdout, stderr } = await converse([
      '/ar',
      QUESTION,
      '/reset',
      '/tidar',
      '/temperature 0.8',
      '/seed 17',
      '/draft 4',
      `/race ${PROBLEM}`,
    ]);
    expect(stderr).toBe('');
    expect(stdout).toContain('1.00 tokens/forward');
    expect(stdout).toContain('tidar, drafts up to 4, temperature 0.8, seed 17');
    const [, same, plain, drafted] =
      /── (same text), \d+ characters · (\d+) passes by ar, (\d+) by tidar/.exec(stdout) ?? [];
    expect(same).toBe('same text');
    expect(Number(drafted)).toBeLessThan(Number(plain));
    const text = await apiText(PROBLEM, { temperature: 0.8, seed: 17 });
    expect(stdout.split(text)).toHaveLength(3);
  });

  it('remembers what was said until /reset, or says each message alone with --forget', async () => {
    const requests = async (lines: string[], args: string[] = []): Promise<number[]> => {
      await converse(lines, args);
      const { requests: all } = await new RawClient(edge.url, key).usage();
      return all.slice(0, 2).map(({ prompt_tokens: tokens }) => tokens);
    };
    const [second = 0, first = 0] = await requests([QUESTION, QUESTION]);
    expect(second).toBeGreaterThan(first);
    expect(await requests([QUESTION, '/reset', QUESTION])).toEqual([first, first]);
    expect(await requests([QUESTION, QUESTION], ['--forget'])).toEqual([first, first]);
  });

  it('stops an answer at an interrupt and goes on', async () => {
    const session = chat([]);
    session.child.stdin?.write('/ar\n');
    // It has asked which models there are before it says anything.
    await expect.poll(() => session.stdout, { timeout: 20_000 }).toContain('ar, greedy');
    const held = wire.holdAfter(BYTES_OF_SOME_CHUNKS);
    session.child.stdin?.write(`${OPEN_QUESTION}\n`);
    await held;
    await expect.poll(() => session.stdout.split('\n')[1], { timeout: 20_000 }).not.toBe('');
    session.child.kill('SIGINT');
    await expect.poll(() => session.stdout, { timeout: 20_000 }).toContain('· stopped');
    wire.release();
    session.child.stdin?.end(`/reset\n/tidar\n${QUESTION}\n/quit\nnever asked\n`);
    expect(await ended(session)).toBe(0);
    const whole = await apiText(OPEN_QUESTION);
    const [, stopped = ''] = session.stdout.split('\n');
    expect(whole.startsWith(stopped) && whole.length > stopped.length).toBe(true);
    expect(session.stdout).toContain(await apiText(QUESTION));
  });

  it.skipIf(process.platform !== 'linux')('does so at Ctrl-C in a terminal, where it prompts', async () => {
    // `script` of util-linux gives it a terminal; other systems have another command of that name.
    const command = `"${process.execPath}" "${CHAT}" --url ${wire.url} --decoder ar`;
    const { PATH = '' } = process.env;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH, TIDAR_API_KEY: key, TERM: 'xterm-256color', SHELL: '/bin/sh' },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    const shows = (text: string): Promise<unknown> =>
      expect.poll(() => stripVTControlCharacters(output), { timeout: 30_000 }).toContain(text);
    await shows('/help lists commands');
    const held = wire.holdAfter(BYTES_OF_SOME_CHUNKS);
    child.stdin.write(`${OPEN_QUESTION}\r`);
    await held;
    await expect.poll(() => colouredRuns(output).length, { timeout: 20_000 }).toBeGreaterThan(1);
    child.stdin.write('\u0003');
    await shows('· stopped');
    wire.release();
    child.stdin.write('\u0003');
    await shows('/quit or Ctrl-D ends the chat.');
    child.stdin.write(`${QUESTION}\r`);
    await shows('Nairobi');
    child.stdin.write('/quit\r');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  it('says in words what is wrong, and goes on where it can', async () => {
    const asked = await converse(['/temperature hot', '/nothing', '/seed', QUESTION]);
    expect(asked.stderr).toBe(
      'A temperature is a number from 0 to 2.\n' +
        'There is no command /nothing; /help lists them.\n' +
        'A seed is a whole number of up to 64 bits, or "random".\n',
    );
    expect(asked.stdout).toContain(await apiText(QUESTION));
    expect(asked.child.exitCode).toBe(1);
    const free = `http://127.0.0.1:${await anyFreePort()}`;
    const cases: [args: string[], env: Record<string, string>, sentence: RegExp][] = [
      [['--url', free], {}, /Nothing answers at http.*ECONNREFUSED.*npm start/],
      [[], { TIDAR_API_KEY: 'tdr_wrong' }, /The API key is not valid.*TIDAR_API_KEY or --api-key-file/],
      [['--model', 'other'], {}, /has no model "other"; it has: demo/],
      [['--api-key-file', `${keyFile}-not`], {}, /--api-key-file cannot be read/],
    ];
    for (const [args, env, sentence] of cases) {
      const { stderr, child } = await converse([], [...args, QUESTION], env);
      expect(stderr).toMatch(sentence);
      expect(stderr).not.toContain('    at ');
      expect(child.exitCode).toBe(2);
    }
    expect((await converse([], ['--api-key-file', keyFile, QUESTION], { TIDAR_API_KEY: '' })).stderr).toBe(
      '',
    );
  });
});
