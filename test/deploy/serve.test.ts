import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseServeOptions } from '../../scripts/serve/options.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';
import { buildBundle, runServe, ServeProcess, waitUntilDead } from '../support/serve-process.ts';
import { descendantsOf } from '../support/start-process.ts';

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }] };
let backend: ScriptedBackend;
let folder: string;
/** Built once for all that do not test the building. */
let bundle: string[];
let vars: Record<string, string>;
beforeAll(async () => {
  backend = await startScriptedBackend();
  folder = await mkdtemp(join(tmpdir(), 'tidar-serve-'));
  bundle = buildBundle(join(folder, 'bundle'));
  vars = { BACKENDS: JSON.stringify([{ url: backend.url }]), SETTLE_GRACE_MS: '3000' };
});
afterAll(async () => {
  await backend.close();
  await rm(folder, { recursive: true, force: true });
});

/** Opens a stream that has said "ab" and waits for `more` before it ends. */
async function openStream(client: RawClient, more: Promise<void>): Promise<Response> {
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], 'ab');
    await more;
    await stage.step([6], 'c');
    await stage.end(3);
  });
  return client.post({ ...body, stream: true });
}

describe('npm run serve', { timeout: 240_000 }, () => {
  it('does not start without its secrets, and names those that are missing', async () => {
    const { code, output } = await runServe([...bundle, '--state', join(folder, 'none')]);
    expect(code).toBe(2);
    for (const name of Object.keys(TEST_SECRETS)) expect(output).toContain(`${name} is missing`);
  });

  it('finds keys and bills again after a SIGKILL of all its processes, and settles what was open', async () => {
    const stateDir = join(folder, 'killed');
    const first = await ServeProcess.start({ stateDir, vars, args: bundle });
    const key = await first.createKey({ requests_per_minute: 50 });
    const client = new RawClient(first.url, key);
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4, 5], 'ab');
      await stage.end(2);
    });
    await client.complete(body);
    const billed = await client.lastRequest(({ state }) => state === 'settled');
    const { promise: more, resolve: goOn } = Promise.withResolvers<void>();
    const stream = await openStream(client, more);
    await stream.body?.getReader().read();
    await first.killAll();
    // The backend's text ends while there is no edge: its journal knows.
    goOn();

    const second = await ServeProcess.start({ stateDir, vars, args: bundle });
    try {
      const again = new RawClient(second.url, key);
      const open = await again.lastRequest(({ state }) => state === 'settled');
      expect(open.id).not.toBe(billed.id);
      expect(open).toMatchObject({ completion_tokens: 3, estimated: false });
      const { requests, key: limits } = await again.usage();
      expect(requests.find(({ id }) => id === billed.id)).toEqual(billed);
      expect(limits.requests_per_minute).toBe(50);
    } finally {
      await second.stop();
    }
  });

  it('lets a stream come to its end after SIGTERM and ends with 0', async () => {
    const edge = await ServeProcess.start({ stateDir: join(folder, 'drained'), vars });
    const client = new RawClient(edge.url, await edge.createKey());
    const { promise: more, resolve: goOn } = Promise.withResolvers<void>();
    const stream = await openStream(client, more);
    const ended = edge.stop();
    // The signal is to be there before the stream's end is.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    goOn();
    const { chunks, isDone } = await readChunks(stream);
    expect(textOfChunks(chunks)).toBe('abc');
    expect(isDone).toBe(true);
    expect(await ended).toBe(0);
    expect(edge.output).toMatch(/^stopped$/m);
  });

  it('cuts what runs longer than --drain-seconds', async () => {
    const stateDir = join(folder, 'cut');
    const edge = await ServeProcess.start({ stateDir, vars, args: [...bundle, '--drain-seconds', '1'] });
    const client = new RawClient(edge.url, await edge.createKey());
    const stream = await openStream(client, new Promise(() => undefined));
    await stream.body?.getReader().read();
    expect(await edge.stop()).toBe(0);
  });

  it('is alone over its state, and its death by SIGKILL ends workerd before another may have it', async () => {
    const stateDir = join(folder, 'alone');
    const first = await ServeProcess.start({ stateDir, vars, args: bundle });
    const { code, output } = await runServe([...bundle, '--state', stateDir], TEST_SECRETS);
    expect(code).toBe(2);
    expect(output).toContain('another process serves from');
    const left = descendantsOf(first.child.pid ?? 0);
    expect(left.length).toBeGreaterThan(1);
    await first.stop('SIGKILL');
    await waitUntilDead(left);
    const second = await ServeProcess.start({ stateDir, vars, args: bundle });
    expect(await second.stop()).toBe(0);
  });

  it('keeps no secret in a file or an argument', async () => {
    const stateDir = join(folder, 'secret');
    const edge = await ServeProcess.start({ stateDir, vars, args: bundle });
    const args = execFileSync('ps', ['-A', '-ww', '-o', 'args='], { encoding: 'utf8' });
    const config = await readFile(join(stateDir, 'worker/config.capnp'), 'utf8');
    await edge.stop();
    for (const secret of Object.values(TEST_SECRETS)) {
      expect(args + config + edge.output).not.toContain(secret);
    }
    expect(config).toContain('fromEnvironment = "KEY_SECRETS"');
  });
});

describe('the variables of npm run serve', () => {
  it('come from the environment before the file, and only those that the edge knows', async () => {
    const path = join(folder, 'vars');
    await writeFile(path, "PRICES='{}'\nADMIN_TOKEN=of-the-file\nKEY_SECRETS=of-the-file\nOTHER=x\n");
    const env = { ADMIN_TOKEN: 'of-the-environment', KEY_SECRETS: '', HOME: 'x' };
    expect(parseServeOptions(['--env-file', path], env)?.variables).toEqual({
      PRICES: '{}',
      ADMIN_TOKEN: 'of-the-environment',
      KEY_SECRETS: 'of-the-file',
    });
  });

  it.each([
    [['--port', '0'], '--port must be'],
    [['--drain-seconds', 'x'], '--drain-seconds must be'],
    [['--env-file', 'nowhere'], 'there is no file'],
    [['serve'], 'belongs to no flag'],
  ])('are refused with a sentence: %s', (args, sentence) => {
    expect(() => parseServeOptions(args, {})).toThrow(sentence);
  });

  it('name paths from where npm was called, not from where it runs its scripts', () => {
    const npm = { npm_lifecycle_event: 'serve', INIT_CWD: '/there' };
    expect(parseServeOptions(['--state', 'x'], npm)).toMatchObject({ statePath: '/there/x' });
    expect(parseServeOptions([], { ...npm, BUNDLE: 'y' })).toMatchObject({ bundlePath: '/there/y' });
  });

  it('have a flag, an environment variable or a default each', () => {
    const env = { EDGE_HOST: '::1', EDGE_PORT: '1234', STATE: '/state', DRAIN_SECONDS: '7' };
    const ofEnvironment = { host: '::1', port: 1234, statePath: '/state', drainLimitMs: 7000 };
    expect(parseServeOptions([], env)).toMatchObject(ofEnvironment);
    const flags = ['--host', '0.0.0.0', '--port', '80', '--state', '/other', '--drain-seconds', '0'];
    expect(parseServeOptions(flags, env)).toMatchObject({ host: '0.0.0.0', port: 80, drainLimitMs: 0 });
    expect(parseServeOptions([], {})).toMatchObject({ host: '127.0.0.1', port: 8787, drainLimitMs: 25_000 });
  });
});
