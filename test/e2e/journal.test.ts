import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import { describe, expect, it } from 'vitest';
import { closingEvents, readEvents, TEST_SECRET } from '../support/backend-process.ts';
import {
  Backends,
  bodyOf,
  codeOf,
  countsOf,
  joined,
  newId,
  NUM_LONG,
  NUM_SHORT,
  prompt,
  readerOf,
  tokensOf,
  unbroken,
  until,
} from '../support/generation-reader.ts';

const MAIN = fileURLToPath(new URL('../../gpu-backend/src/server/main.ts', import.meta.url));

const backends = Backends.ofTests();

describe('a backend that was killed in mid-stream', { timeout: 180_000 }, () => {
  it('knows all that a reader got of it, starts nothing twice, and another process goes on as if unbroken', async () => {
    const where = await backends.place();
    const [first, other] = [await backends.start(where), backends.common];
    const changes = { max_tokens: NUM_LONG };
    const body = bodyOf(newId(), changes);
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const lease = await first.lease(body);
    const reader = readerOf(await first.post(body, lease));
    await reader.until(100);
    first.child.kill('SIGKILL');
    await expect(reader.rest()).rejects.toThrow();
    const seen = tokensOf(reader.events);

    const again = await backends.start(where);
    const answer = await again.journal(id);
    expect(answer).toMatchObject({
      state: 'interrupted',
      prompt_token_ids: prompt,
      finish_reasons: [null, null],
      error: { code: 'backend_unavailable', retryable: true },
      usage: { prompt_tokens: prompt.length },
      tokens_hash: await hashTokenIds(answer.token_ids!),
      request: { request_id: id, max_tokens: NUM_LONG },
    });
    const kept = answer.token_ids!;
    kept.forEach((tokenIds, choice) => {
      expect(tokenIds.slice(0, seen[choice]!.length)).toEqual(seen[choice]);
    });
    expect(await codeOf(await again.post(body, lease))).toBe('duplicate_attempt');

    const replayed = await readEvents(await again.read(id, { stream: true, from: countsOf(reader.events) }));
    expect(closingEvents(replayed)).toMatchObject([{ type: 'error', error: { retryable: true } }]);
    expect(joined(seen, tokensOf(replayed))).toEqual(kept);

    const resume = { prompt_token_ids: answer.prompt_token_ids!, token_ids: kept };
    const { resume: _, ...asked } = answer.request!;
    const next = JSON.stringify({ ...asked, resume });
    const rest = await readEvents(await other.post(next, await other.lease(next, { attempt: 1 })));
    expect(joined(kept, tokensOf(rest))).toEqual(await unbroken(other, changes));
    expect(await other.journal(id, 1)).toMatchObject({
      state: 'ended',
      token_counts: [NUM_LONG, NUM_LONG],
      finish_reasons: ['length', 'length'],
    });
  });

  it('lets a text that had ended be read to its last event', async () => {
    const where = await backends.place();
    const first = await backends.start(where);
    const id = newId();
    const events = await readEvents(await first.post(bodyOf(id)));
    await first.stop('SIGKILL');
    const again = await backends.start(where);
    expect(await readEvents(await again.read(id, { stream: true }))).toEqual(events);
  });
});

describe('a file that one process has', () => {
  it('is refused to another at its start, by a sentence', async () => {
    const where = await backends.place();
    await backends.start(where);
    const env = { ...process.env, LEASE_SECRETS: TEST_SECRET };
    const args = [MAIN, '--model', backends.model.path, '--port', '0', '--journal', where.journal];
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    expect(stderr).toMatch(/^Another process has the journal .*sqlite; give another file by --journal\.$/m);
    expect(status).toBe(1);
  });
});

describe('a higher attempt', () => {
  it('ends the one before; a lower one is refused from then on', async () => {
    const backend = backends.common;
    const id = newId();
    const reader = readerOf(await backend.post(bodyOf(id, { max_tokens: NUM_LONG })));
    await reader.until(20);
    const body = bodyOf(id);
    const events = await readEvents(await backend.post(body, await backend.lease(body, { attempt: 2 })));
    expect(tokensOf(events)).toEqual(await unbroken(backend));
    await reader.rest();
    expect(closingEvents(reader.events)).toMatchObject([{ error: { code: 'attempt_superseded' } }]);
    expect(await backend.journal(id, 0)).toMatchObject({ state: 'cancelled' });
    for (const attempt of [0, 1, 2]) {
      const refused = await backend.post(body, await backend.lease(body, { attempt }));
      expect(await codeOf(refused)).toBe('duplicate_attempt');
    }
  });
});

describe('a request that is not to be stored', () => {
  it('leaves counts and a hash: its text is gone when its reader has it', async () => {
    const backend = backends.common;
    const id = newId();
    const events = await readEvents(await backend.post(bodyOf(id, { store: false })));
    const answer = await until(backend, id, ({ token_ids: tokenIds }) => tokenIds === null);
    expect(answer).toMatchObject({
      state: 'ended',
      prompt_token_ids: null,
      token_counts: [NUM_SHORT, NUM_SHORT],
      tokens_hash: await hashTokenIds(tokensOf(events)),
      usage: { prompt_tokens: prompt.length, completion_tokens: 2 * NUM_SHORT },
    });
    expect(answer).not.toHaveProperty('request');
    expect(await codeOf(await backend.read(id, { stream: true }))).toBe('not_found');
  });

  it('leaves as little where its process died', async () => {
    const where = await backends.place();
    const first = await backends.start(where);
    const id = newId();
    const reader = readerOf(await first.post(bodyOf(id, { store: false, max_tokens: NUM_LONG })));
    await reader.until(20);
    await first.stop('SIGKILL');
    const answer = await (await backends.start(where)).journal(id);
    expect(answer).toMatchObject({ state: 'interrupted', prompt_token_ids: null, token_ids: null });
    expect(answer.token_counts[0]).toBeGreaterThanOrEqual(20);
  });
});

describe('a backend that drains', () => {
  it('lets readers come for what still runs', async () => {
    const backend = await backends.start();
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: 1200 }), undefined, leaver.signal));
    await first.until(20);
    const stopped = backend.stop('SIGTERM');
    leaver.abort();
    while (!backend.output.includes('"draining"')) await new Promise((resolve) => setTimeout(resolve, 10));
    const events = await readEvents(await backend.read(id, { stream: true }));
    expect(countsOf(events)).toEqual([1200, 1200]);
    expect(closingEvents(events)).toMatchObject([{ type: 'end' }]);
    expect(await stopped).toBe(0);
  });
});

describe('the log', () => {
  it('has no prompt and no token of what was journalled', async () => {
    const backend = backends.common;
    await readEvents(await backend.post(bodyOf(newId())));
    expect(backend.output).toContain('request_end');
    expect(backend.output).not.toContain(prompt.join(','));
    expect(await backend.metric('tidar_journal_generations')).toBeGreaterThan(0);
    expect(await backend.metric('tidar_journal_bytes')).toBeGreaterThan(0);
    expect(await backend.metric('tidar_journal_entries_total')).toBeGreaterThan(10);
  });
});
