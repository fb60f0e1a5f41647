import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import { recording, sampled, withConfig } from '../engine/testing.ts';
import type { FromEngine } from './engine-messages.ts';
import { Scheduler } from './scheduler.ts';
import { Demo, Desk } from './testing/desk.ts';

let demo: Demo;
beforeAll(async () => {
  demo = await Demo.open();
});
afterAll(() => demo.session.dispose());

describe('a request for n texts', () => {
  it('gives as choice 0 the text of a request for one, and others beside it', async () => {
    const [one, three] = [
      await demo.answerTo(demo.request()),
      await demo.answerTo(demo.request({}, { numChoices: 3 })),
    ];
    expect(three.choices[0]).toEqual(one.choices[0]);
    expect(new Set(three.choices.map(({ text }) => text)).size).toBe(3);
  });

  it('computes the prompt once: further choices take over its columns', async () => {
    const recorded = recording(demo.session);
    const desk = demo.desk(recorded.session);
    desk.submit(1, demo.request({}, { numChoices: 3 }));
    await desk.run();
    const numPromptRows = recorded.runs.flatMap(({ positions }) =>
      positions.filter((at) => at < demo.promptIds.length - 1),
    );
    expect(numPromptRows).toHaveLength(demo.promptIds.length - 1);
    desk.engine.dispose();
  });

  it('tells `admitted` first, `finish` once a choice, `end` last', async () => {
    const { events } = await demo.answerTo(demo.request({}, { numChoices: 3 }));
    expect(events[0]).toEqual({ type: 'admitted', numCachedTokens: 0 });
    expect(events.at(-1)!.type).toBe('end');
    const finished = events.flatMap((event) => (event.type === 'finish' ? [event.choice] : []));
    expect(finished.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    for (const choice of finished) {
      const own = events.filter((event) => 'choice' in event && event.choice === choice);
      expect(own.at(-1)!.type).toBe('finish');
    }
  });

  it('resumed from any tokens of each choice, goes on as if unbroken', async () => {
    const whole = await demo.answerTo(demo.request({}, { numChoices: 2 }));
    const committedByChoice = [
      whole.choices[0]!.tokenIds.slice(0, 7),
      whole.choices[1]!.tokenIds.slice(0, 19),
    ];
    const rest = await demo.answerTo(demo.request({}, { numChoices: 2, committedByChoice }));
    whole.choices.forEach(({ tokenIds }, index) => {
      expect([...committedByChoice[index]!, ...rest.choices[index]!.tokenIds]).toEqual(tokenIds);
    });
  });
});

describe('requests together', () => {
  it('get the texts that they get alone, whatever their order, credits and cancels', async () => {
    const jobs = fc.array(
      fc.record({
        seed: fc.bigInt({ min: 0n, max: 1n << 60n }),
        maxTokens: fc.integer({ min: 1, max: 24 }),
        numChoices: fc.integer({ min: 1, max: 3 }),
        tenant: fc.constantFrom('a', 'b'),
        numCredits: fc.integer({ min: 3, max: 6 }),
        cancelAt: fc.constantFrom(Infinity, Infinity, 0, 4),
      }),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(jobs, async (all) => {
        const desk = demo.desk();
        const asked = all.map(({ seed, maxTokens, numChoices, tenant }) =>
          demo.request({ maxTokens, sampling: sampled({ temperature: 1.3, seed }) }, { numChoices, tenant }),
        );
        asked.forEach((one, id) => desk.submit(id, one, all[id]!.numCredits));
        for (let tick = 0; tick < 400; tick++) {
          all.forEach(({ cancelAt }, id) => cancelAt === tick && desk.scheduler.cancel(id));
          // Readers take turns at being slow.
          if (!(await desk.scheduler.step()) || tick % 3 === 0)
            all.forEach((_, id) => desk.scheduler.addCredits(id, 3));
          desk.scheduler.checkIntegrity();
        }
        for (const [id, one] of asked.entries()) {
          const together = desk.answer(id);
          const alone = await demo.answerTo(one);
          if (together.error === undefined) expect(together.choices).toEqual(alone.choices);
          else expect(together.error.code).toBe('cancelled');
          together.choices.forEach(({ tokenIds }, choice) => {
            expect(alone.choices[choice]!.tokenIds.slice(0, tokenIds.length)).toEqual(tokenIds);
          });
        }
        expect(desk.engine.numActive).toBe(0);
        desk.engine.dispose();
      }),
      { seed: 21, numRuns: 12 },
    );
  });

  it('of one tenant find each other’s prompts, of another tenant none', async () => {
    const desk = demo.desk();
    for (const [id, tenant] of [
      [1, 'a'],
      [2, 'a'],
      [3, 'b'],
    ] as const) {
      desk.submit(id, demo.request({}, { tenant }));
      await desk.run();
    }
    const cached = [1, 2, 3].map((id) => desk.answer(id).events.find((event) => event.type === 'admitted'));
    expect(cached.map((event) => event?.numCachedTokens)).toEqual([0, demo.promptIds.length - 1, 0]);
    expect(desk.answer(2).choices).toEqual(desk.answer(1).choices);
    expect(desk.answer(3).choices).toEqual(desk.answer(1).choices);
    desk.engine.dispose();
  });

  it('of which one’s numbers break are not broken: only that one ends, with an error', async () => {
    const broken = new Float32Array(demo.session.config.vocabSize).fill(NaN);
    const breaking: ModelSession = {
      ...withConfig(demo.session, demo.session.config),
      run: async (cache, batch) => {
        const output = await demo.session.run(cache, batch);
        const isOfFirst = (row: number): boolean => row < batch.rowStarts[1]!;
        const isBroken = batch.numSlots === 2 && batch.writeIndexes[0]! > demo.promptIds.length + 4;
        return {
          candidates: (index) => output.candidates(index),
          logits: (index) => (isBroken && isOfFirst(batch.logitRows[index]!) ? broken : output.logits(index)),
        };
      },
    };
    const desk = demo.desk(breaking);
    const other = demo.request({ sampling: sampled({ temperature: 1.3, seed: 9n }) });
    desk.submit(1, demo.request());
    desk.submit(2, other);
    await desk.run();
    expect(desk.answer(1).error).toMatchObject({ code: 'internal', internal: 'non-finite logit' });
    expect(desk.answer(2).choices).toEqual((await demo.answerTo(other)).choices);
    expect(desk.engine.numActive).toBe(0);
    desk.engine.dispose();
  });
});

describe('where no text can go on', () => {
  it('a step says so: who waits for the memory of a slow reader’s text is not tried again and again', async () => {
    const engine = new Engine(demo.session, {
      chooser: FIXED_PLANS,
      maxCacheBytes: 256 * demo.session.numBytesPerColumn,
      prefixCacheBytes: 0,
      prefillTokens: 64,
      sharedPrefillTokens: 64,
      smallestCapacity: 64,
    });
    const desk = new Desk(engine, demo.tokenizer);
    const asked = [9n, 10n].map((seed) =>
      demo.request({
        decoder: { type: 'ar' },
        maxTokens: 60,
        sampling: sampled({ temperature: 1.3, seed, minTokens: 60 }),
      }),
    );
    const numCreditsUntilCrowded = 64 - demo.promptIds.length + 6;
    desk.submit(1, asked[0]!, numCreditsUntilCrowded);
    desk.submit(2, asked[1]!);
    let numSteps = 0;
    while ((await desk.scheduler.step()) && numSteps < 1000) numSteps += 1;
    expect(numSteps).toBeLessThan(1000);
    expect(engine.residence.numYields).toBeGreaterThan(0);
    expect(engine.numActive).toBe(2);
    desk.scheduler.addCredits(1, 1000);
    await desk.run();
    for (const [at, one] of asked.entries())
      expect(desk.answer(at + 1).choices).toEqual((await demo.answerTo(one)).choices);
    engine.dispose();
  });

  it('since the pass failed, each request ends in one error, however many texts it has', async () => {
    const failing: ModelSession = {
      ...withConfig(demo.session, demo.session.config),
      run: (cache, batch) =>
        batch.numSlots === 3 ? Promise.reject(new Error('lost')) : demo.session.run(cache, batch),
    };
    const { engine } = demo.desk(failing);
    const messages: FromEngine[] = [];
    const { tokenizer } = demo;
    const emit = (message: FromEngine): void => void messages.push(message);
    const scheduler = new Scheduler({ engine, tokenizer, sharePrefixes: false, emit });
    scheduler.submit(1, demo.request({}, { numChoices: 3 }), 1000);
    while (await scheduler.step()) scheduler.checkIntegrity();
    expect(messages.filter(({ type }) => type === 'error')).toHaveLength(1);
    expect(engine.numActive).toBe(0);
    engine.dispose();
  });
});

describe('a cancel', () => {
  it('frees the slots before the next pass', async () => {
    const recorded = recording(demo.session);
    const desk = demo.desk(recorded.session);
    desk.submit(1, demo.request());
    desk.submit(2, demo.request({ sampling: sampled({ temperature: 1.3, seed: 9n }) }));
    for (let pass = 0; pass < 4; pass++) await desk.scheduler.step();
    desk.scheduler.cancel(1);
    const numRuns = recorded.runs.length;
    await desk.scheduler.step();
    expect(desk.answer(1).error?.code).toBe('cancelled');
    expect(recorded.runs.slice(numRuns).map(({ writeIndexes }) => writeIndexes.length)).toEqual([1]);
    expect(desk.engine.numActive).toBe(1);
    desk.engine.dispose();
  });
});
