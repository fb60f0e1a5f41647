import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventStream } from './event-stream.ts';

const options = { keepAliveMs: 10_000, stallMs: 10_000, onGone: () => undefined };

async function* events(count: number, pauseMs = 0): AsyncGenerator<string, void, undefined> {
  for (let index = 0; index < count; index++) {
    if (pauseMs > 0) await sleep(pauseMs);
    yield `data: ${index}\n\n`;
  }
}

describe('the body of an SSE answer', () => {
  it('is the events, in order, and their end', async () => {
    expect(await new Response(eventStream(events(3), options)).text()).toBe(
      'data: 0\n\ndata: 1\n\ndata: 2\n\n',
    );
  });

  it('has comments in its silence, and loses no event to them', async () => {
    const text = await new Response(eventStream(events(3, 50), { ...options, keepAliveMs: 10 })).text();
    expect(text.replaceAll(': keep-alive\n\n', '')).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\n');
    expect(text.split(': keep-alive').length).toBeGreaterThan(4);
  });

  it('takes an event only when there is a reader for it', async () => {
    let numTaken = 0;
    const counted = (async function* (): AsyncGenerator<string, void, undefined> {
      for await (const event of events(100)) {
        numTaken += 1;
        yield event;
      }
    })();
    const reader = eventStream(counted, options).getReader();
    await reader.read();
    await sleep(20);
    expect(numTaken).toBeLessThanOrEqual(2);
    await reader.cancel();
  });

  it('tells when the reader leaves, and takes the events to their end', async () => {
    let numGone = 0;
    let isClosed = false;
    const closing = (async function* (): AsyncGenerator<string, void, undefined> {
      yield* events(100);
      isClosed = true;
    })();
    const reader = eventStream(closing, { ...options, onGone: () => (numGone += 1) }).getReader();
    await reader.read();
    await reader.cancel();
    await sleep(20);
    expect([numGone, isClosed]).toEqual([1, true]);
  });

  it('gives up a reader who takes nothing', async () => {
    let numGone = 0;
    const stream = eventStream(events(100), { ...options, stallMs: 30, onGone: () => (numGone += 1) });
    const reader = stream.getReader();
    await reader.read();
    await sleep(100);
    expect(numGone).toBe(1);
    await expect(reader.read().then(() => reader.read())).rejects.toThrow('took nothing for 30 ms');
  });

  it('never gives up a reader who waits for a slow event', async () => {
    const stream = eventStream(events(2, 100), { ...options, keepAliveMs: 1000, stallMs: 20 });
    expect(await new Response(stream).text()).toBe('data: 0\n\ndata: 1\n\n');
  });
});
