import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { CompileGrammar } from './grammars.ts';
import { Mailbox } from './mailbox.ts';
import { Demo } from './testing/desk.ts';
import type { Desk } from './testing/desk.ts';

const DIGITS: GrammarSpec = { type: 'regex', pattern: '[0-9]{4}' };
const WAIT_LIMIT_MS = 10_000;

let demo: Demo;
let compile: CompileGrammar;
beforeAll(async () => {
  demo = await Demo.open();
  compile = await demo.openGrammars();
});
afterAll(() => demo.session.dispose());

/** The engine thread's loop, until the mailbox is closed. */
async function serve(desk: Desk, mailbox: Mailbox): Promise<void> {
  while (!mailbox.isClosed) if (!(await desk.scheduler.step())) await mailbox.next();
}

/** Resolves when something has ended the request. */
async function ended(desk: Desk, id: number): Promise<void> {
  for (const until = Date.now() + WAIT_LIMIT_MS; Date.now() < until; await new Promise(setImmediate)) {
    const { error, events } = desk.answer(id);
    if (error !== undefined || events.at(-1)?.type === 'end') return;
  }
  throw new Error('the request does not end');
}

describe('a request with a grammar', () => {
  it('is answered, also where its grammar is ready before the thread goes to sleep', async () => {
    const desk = demo.desk();
    const compiled = await compile(DIGITS);
    for (let delays = 0; delays < 12; delays++) {
      const mailbox = new Mailbox(desk.scheduler, async () => {
        for (let turn = 0; turn < delays; turn++) await Promise.resolve();
        return compiled;
      });
      const serving = serve(desk, mailbox);
      await new Promise(setImmediate); // it sleeps
      const request = demo.request({ grammar: DIGITS });
      desk.expect(delays, request);
      mailbox.take({ type: 'submit', id: delays, request, numCredits: 1000 });
      await ended(desk, delays);
      expect(desk.answer(delays).choices[0]!.text).toMatch(/^\d{4}$/);
      mailbox.take({ type: 'close' });
      await serving;
    }
    desk.engine.dispose();
  });

  it('pauses at the end of its slice, and goes on where that was raised while it was compiled', async () => {
    const desk = demo.desk();
    const mailbox = new Mailbox(desk.scheduler, compile);
    const serving = serve(desk, mailbox);
    const request = demo.request({ grammar: DIGITS });
    const whole = demo.request({ grammar: DIGITS });
    desk.expect(1, request);
    mailbox.take({ type: 'submit', id: 1, request: { ...request, endToken: 1 }, numCredits: 1000 });
    mailbox.take({ type: 'extend', id: 1, endToken: 50 });
    desk.expect(2, whole);
    mailbox.take({ type: 'submit', id: 2, request: whole, numCredits: 1000 });
    await ended(desk, 1);
    await ended(desk, 2);
    expect(desk.answer(1).choices).toEqual(desk.answer(2).choices);
    mailbox.take({ type: 'close' });
    await serving;
    desk.engine.dispose();
  });

  it('that cannot be compiled, or was cancelled meanwhile, ends with its error', async () => {
    const desk = demo.desk();
    const mailbox = new Mailbox(desk.scheduler, compile);
    const serving = serve(desk, mailbox);
    const broken = demo.request({ grammar: { type: 'regex', pattern: '(' } });
    desk.expect(1, broken);
    mailbox.take({ type: 'submit', id: 1, request: broken, numCredits: 1000 });
    desk.expect(2, broken);
    mailbox.take({ type: 'submit', id: 2, request: demo.request({ grammar: DIGITS }), numCredits: 1000 });
    mailbox.take({ type: 'cancel', id: 2 });
    await ended(desk, 1);
    await ended(desk, 2);
    expect(desk.answer(1).error?.code).toBe('invalid_request');
    expect(desk.answer(2).error?.code).toBe('cancelled');
    mailbox.take({ type: 'close' });
    await serving;
    desk.engine.dispose();
  });
});
