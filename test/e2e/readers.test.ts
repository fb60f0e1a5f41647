import { hashTokenIds } from '@tidar/shared/lease.ts';
import { describe, expect, it } from 'vitest';
import { closingEvents, finishesOf, readEvents, tokenIdsOf } from '../support/backend-process.ts';
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

const backends = Backends.ofTests();

describe('a reader who comes back', () => {
  it('goes on where he was, at any token of a running text or one that has ended', async () => {
    const backend = backends.common;
    const changes = { max_tokens: 1200 };
    const id = newId();
    const first = readerOf(await backend.post(bodyOf(id, changes)));
    await first.until(20);
    for (const from of [
      [7, 3],
      [20, 0],
      [0, 0],
    ]) {
      const { token_ids: had } = await backend.journal(id);
      const second = readerOf(await backend.read(id, { stream: true, from }));
      await second.until(50);
      expect(second.events[0]).toMatchObject({ type: 'start', num_prompt_tokens: prompt.length });
      if (from[0] !== 0) continue;
      await second.rest();
      const whole = await unbroken(backend, changes);
      expect(tokensOf(second.events)).toEqual(whole);
      expect(had![0]).toEqual(whole[0]!.slice(0, had![0]!.length));
    }
    const whole = (await backend.journal(id)).token_ids!;
    for (const from of [
      [0, 0],
      [1, 1000],
      [1199, 1200],
      [1200, 1200],
    ]) {
      const events = await readEvents(await backend.read(id, { stream: true, from }));
      expect(tokensOf(events)).toEqual(whole.map((tokenIds, choice) => tokenIds.slice(from[choice])));
      expect(finishesOf(events)).toHaveLength(2);
      expect(closingEvents(events)).toMatchObject([{ type: 'end', usage: { completion_tokens: 2400 } }]);
    }
  });

  it('takes the stream over from the one who has it, who is told so', async () => {
    const backend = backends.common;
    const id = newId();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: NUM_LONG })));
    await first.until(20);
    const second = readerOf(await backend.read(id, { stream: true, from: [0, 0] }));
    await Promise.all([first.rest(), second.rest()]);
    expect(closingEvents(first.events)).toMatchObject([
      { error: { code: 'stream_taken_over', retryable: false } },
    ]);
    expect(closingEvents(second.events)).toMatchObject([{ type: 'end' }]);
    expect(tokensOf(second.events)).toEqual((await backend.journal(id)).token_ids);
  });

  it('is refused where he has more than there is, and where nothing is known', async () => {
    const backend = backends.common;
    const id = newId();
    await readEvents(await backend.post(bodyOf(id)));
    expect(await codeOf(await backend.read(id, { stream: true, from: [61, 0] }))).toBe('invalid_request');
    expect(await codeOf(await backend.read(id, { stream: true, from: [0] }))).toBe('invalid_request');
    expect(await codeOf(await backend.read(id, {}, { attempt: 1 }))).toBe('not_found');
    expect(await codeOf(await backend.read('no-such-request', {}))).toBe('not_found');
  });
});

describe('a client that leaves', () => {
  it('finds its text whole if it comes back within the grace', async () => {
    const backend = backends.common;
    const changes = { max_tokens: 1200 };
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, changes), undefined, leaver.signal));
    await first.until(20);
    leaver.abort();
    const had = tokensOf(first.events);
    await until(backend, id, ({ token_counts: counts }) => counts[0]! > had[0]!.length);
    const events = await readEvents(await backend.read(id, { stream: true, from: countsOf(first.events) }));
    expect(joined(had, tokensOf(events))).toEqual(await unbroken(backend, changes));
    expect(closingEvents(events)).toMatchObject([{ type: 'end' }]);
  });

  it('ends it if it does not: it is written as cancelled, with its tokens until then', async () => {
    const backend = await backends.start({}, '--client-grace-ms', '400');
    const id = newId();
    const leaver = new AbortController();
    const first = readerOf(await backend.post(bodyOf(id, { max_tokens: 16000 }), undefined, leaver.signal));
    await first.until(20);
    leaver.abort();
    const answer = await until(backend, id, ({ state }) => state !== 'running');
    expect(answer).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } });
    const [had] = countsOf(first.events);
    expect(answer.token_counts[0]).toBeGreaterThan(had!);
    expect(answer.token_counts[0]).toBeLessThan(16000);
    expect(answer.usage.completion_tokens).toBe(answer.token_counts[0]! + answer.token_counts[1]!);
    expect(answer.tokens_hash).toBe(await hashTokenIds(answer.token_ids!));
    expect(await backend.metric('vllm:num_requests_running')).toBe(0);
  });
});

describe('a client that reads slowly', () => {
  it('gives its place to who waits for one, and still gets its text whole', async () => {
    const backend = await backends.start({}, '--max-concurrent', '1');
    // Some kilobytes a token: more than what lies between the two processes can take.
    const changes = { max_tokens: NUM_LONG, num_choices: 1, logprobs: 20 };
    const id = newId();
    const slow = readerOf(await backend.post(bodyOf(id, changes)));
    await slow.until(5);
    const other = await readEvents(await backend.post(bodyOf(newId(), { num_choices: 1 })));
    expect(countsOf(other)).toEqual([NUM_SHORT, 0]);
    expect(await backend.journal(id)).toMatchObject({ state: 'ended', token_counts: [NUM_LONG] });
    await slow.rest();
    expect(tokenIdsOf(slow.events)).toEqual((await backend.journal(id)).token_ids![0]);
    expect(slow.events.filter(({ type }) => type !== 'step').map(({ type }) => type)).toEqual([
      'start',
      'finish',
      'end',
    ]);
  });
});

describe('a lease that grants a part of the text', () => {
  it('may be renewed slice by slice: the text is the same, and never ahead of what was granted', async () => {
    const backend = backends.common;
    const changes = { max_tokens: 200 };
    const body = bodyOf(newId(), changes);
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const reader = readerOf(await backend.post(body, await backend.lease(body, { end_token: 30 })));
    for (let end = 30; end < 200; end += 30) {
      await until(backend, id, ({ token_counts: counts }) => counts.every((count) => count === end));
      const answer = await backend.renew(id, end + 30);
      expect(await answer.json()).toEqual({ end_token: end + 30 });
    }
    await reader.rest();
    expect(tokensOf(reader.events)).toEqual(await unbroken(backend, changes));
    expect(closingEvents(reader.events)).toMatchObject([{ type: 'end' }]);
  });

  it('ends the text where nobody renews it, which may be tried again with another attempt', async () => {
    const backend = await backends.start({}, '--slice-wait-ms', '200');
    const body = bodyOf(newId());
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const events = await readEvents(await backend.post(body, await backend.lease(body, { end_token: 25 })));
    expect(countsOf(events)).toEqual([25, 25]);
    expect(closingEvents(events)).toMatchObject([{ error: { code: 'lease_expired', retryable: true } }]);
    expect(await backend.journal(id)).toMatchObject({ state: 'failed', token_counts: [25, 25] });
    const resume = { prompt_token_ids: prompt, token_ids: tokensOf(events) };
    const next = bodyOf(id, { resume });
    const rest = await readEvents(await backend.post(next, await backend.lease(next, { attempt: 1 })));
    expect(joined(tokensOf(events), tokensOf(rest))).toEqual(await unbroken(backend));
  });

  it('takes less back than it granted from nobody, and renews nothing that has ended or is another’s', async () => {
    const backend = backends.common;
    const body = bodyOf(newId(), { max_tokens: 100 });
    const { request_id: id } = JSON.parse(body) as { request_id: string };
    const reader = readerOf(await backend.post(body, await backend.lease(body, { end_token: 40 })));
    await reader.until(40);
    expect(await (await backend.renew(id, 10)).json()).toEqual({ end_token: 40 });
    expect(await codeOf(await backend.renew(id, 100, { attempt: 1 }))).toBe('not_found');
    expect(await codeOf(await backend.renew(id, 100, { purpose: 'read' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.renew(id, 100, { request_id: 'another' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.read(id, {}, { purpose: 'renew' }))).toBe('lease_invalid');
    expect(await codeOf(await backend.read(id, {}, { expires_at_ms: 1 }))).toBe('lease_expired');
    await backend.renew(id, 100);
    await reader.rest();
    expect(await codeOf(await backend.renew(id, 100))).toBe('conflict');
  });
});
