import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { soloEngine } from '../decode/solo-engine.ts';
import type { GenerateOptions } from '../decode/generate.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import { recording, sampled, withConfig } from '../engine/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { EngineError, EngineEvent, EngineRequest, FromEngine } from './engine-messages.ts';
import { Scheduler } from './scheduler.ts';

const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));
const SAMPLED = sampled({ temperature: 1.3, seed: 5n });
const PLENTY = 10_000;

let session: ModelSession;
let tokenizer: Tokenizer;
let promptIds: number[];
beforeAll(async () => {
  const folder = loadModelFolder(DEMO);
  session = await openModel(folder, { numThreads: 1 });
  tokenizer = folder.tokenizer!;
  promptIds = tokenizer.encodeChat([{ role: 'user', content: 'Tell me a story about a dog and a king.' }]);
});
afterAll(() => session.dispose());

interface Choice {
  tokenIds: number[];
  text: string;
  finishReason?: string;
}

interface Answer {
  choices: Choice[];
  events: EngineEvent[];
  error?: EngineError;
}

/** A scheduler and what it told of each request. */
class Desk {
  readonly answers = new Map<number, Answer>();
  readonly scheduler: Scheduler;
  readonly engine: Engine;

  constructor(engine: Engine = keepingEngine()) {
    this.engine = engine;
    this.scheduler = new Scheduler({
      engine,
      tokenizer,
      sharePrefixes: false,
      emit: (message) => this.#take(message),
    });
  }

  submit(id: number, request: EngineRequest, numCredits = PLENTY): void {
    this.answers.set(id, {
      choices: Array.from({ length: request.numChoices }, () => ({ tokenIds: [], text: '' })),
      events: [],
    });
    this.scheduler.submit(id, request, numCredits);
  }

  async run(): Promise<void> {
    while (await this.scheduler.step()) this.scheduler.checkIntegrity();
    this.scheduler.checkIntegrity();
  }

  answer(id: number): Answer {
    return this.answers.get(id)!;
  }

  #take(message: FromEngine): void {
    if (message.type === 'error') this.answer(message.id).error = message.error;
    if (message.type !== 'event') return;
    const { event, id } = message;
    const answer = this.answer(id);
    answer.events.push(event);
    if (event.type === 'step') {
      answer.choices[event.choice]!.tokenIds.push(...event.tokenIds);
      answer.choices[event.choice]!.text += event.text;
    } else if (event.type === 'finish') answer.choices[event.choice]!.finishReason = event.finishReason;
  }
}

function keepingEngine(on = session): Engine {
  return new Engine(on, {
    chooser: FIXED_PLANS,
    maxCacheBytes: 1 << 28,
    prefixCacheBytes: 1 << 24,
    prefillTokens: 64,
    sharedPrefillTokens: 16,
  });
}

function request(generate: Partial<GenerateOptions> = {}, rest: Partial<EngineRequest> = {}): EngineRequest {
  return {
    numChoices: 1,
    stop: [],
    tenant: 'a',
    ...rest,
    generate: {
      promptIds,
      maxTokens: 40,
      decoder: { type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 },
      sampling: SAMPLED,
      stopTokenIds: [],
      ...generate,
    },
  };
}

async function answerTo(asked: EngineRequest): Promise<Answer> {
  const desk = new Desk();
  desk.submit(1, asked);
  await desk.run();
  desk.engine.dispose();
  return desk.answer(1);
}

describe('a request for n texts', () => {
  it('gives as choice 0 the text of a request for one, and others beside it', async () => {
    const [one, three] = [await answerTo(request()), await answerTo(request({}, { numChoices: 3 }))];
    expect(three.choices[0]).toEqual(one.choices[0]);
    expect(new Set(three.choices.map(({ text }) => text)).size).toBe(3);
  });

  it('computes the prompt once: further choices take over its columns', async () => {
    const recorded = recording(session);
    const desk = new Desk(keepingEngine(recorded.session));
    desk.submit(1, request({}, { numChoices: 3 }));
    await desk.run();
    const numPromptRows = recorded.runs.flatMap(({ positions }) =>
      positions.filter((at) => at < promptIds.length - 1),
    );
    expect(numPromptRows).toHaveLength(promptIds.length - 1);
    desk.engine.dispose();
  });

  it('tells `admitted` first, `finish` once a choice, `end` last', async () => {
    const { events } = await answerTo(request({}, { numChoices: 3 }));
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
    const whole = await answerTo(request({}, { numChoices: 2 }));
    const committedByChoice = [
      whole.choices[0]!.tokenIds.slice(0, 7),
      whole.choices[1]!.tokenIds.slice(0, 19),
    ];
    const rest = await answerTo(request({}, { numChoices: 2, committedByChoice }));
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
        const desk = new Desk();
        const asked = all.map(({ seed, maxTokens, numChoices, tenant }) =>
          request({ maxTokens, sampling: sampled({ temperature: 1.3, seed }) }, { numChoices, tenant }),
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
          const alone = await answerTo(one);
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
    const desk = new Desk();
    for (const [id, tenant] of [
      [1, 'a'],
      [2, 'a'],
      [3, 'b'],
    ] as const) {
      desk.submit(id, request({}, { tenant }));
      await desk.run();
    }
    const cached = [1, 2, 3].map((id) => desk.answer(id).events.find((event) => event.type === 'admitted'));
    expect(cached.map((event) => event?.numCachedTokens)).toEqual([0, promptIds.length - 1, 0]);
    expect(desk.answer(2).choices).toEqual(desk.answer(1).choices);
    expect(desk.answer(3).choices).toEqual(desk.answer(1).choices);
    desk.engine.dispose();
  });

  it('of which one’s numbers break are not broken: only that one ends, with an error', async () => {
    const broken = new Float32Array(session.config.vocabSize).fill(NaN);
    const breaking: ModelSession = {
      ...withConfig(session, session.config),
      run: async (cache, batch) => {
        const output = await session.run(cache, batch);
        const isOfFirst = (row: number): boolean => row < batch.rowStarts[1]!;
        const isBroken = batch.numSlots === 2 && batch.writeIndexes[0]! > promptIds.length + 4;
        return {
          candidates: (index) => output.candidates(index),
          logits: (index) => (isBroken && isOfFirst(batch.logitRows[index]!) ? broken : output.logits(index)),
        };
      },
    };
    const desk = new Desk(keepingEngine(breaking));
    const other = request({ sampling: sampled({ temperature: 1.3, seed: 9n }) });
    desk.submit(1, request());
    desk.submit(2, other);
    await desk.run();
    expect(desk.answer(1).error).toMatchObject({ code: 'internal', internal: 'non-finite logit' });
    expect(desk.answer(2).choices).toEqual((await answerTo(other)).choices);
    expect(desk.engine.numActive).toBe(0);
    desk.engine.dispose();
  });
});

describe('a cancel', () => {
  it('frees the slots before the next pass', async () => {
    const recorded = recording(session);
    const desk = new Desk(keepingEngine(recorded.session));
    desk.submit(1, request());
    desk.submit(2, request({ sampling: sampled({ temperature: 1.3, seed: 9n }) }));
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

describe('a stop string', () => {
  it('cuts at the token that completes it, inside an accepted run, and nothing after it is kept', async () => {
    const whole = (await answerTo(request({ sampling: sampled({}) }))).choices[0]!;
    for (const at of [4, 9, 15]) {
      const stop = whole.text.slice(at, at + 5);
      const desk = new Desk(soloEngine(session));
      desk.submit(1, request({ sampling: sampled({}) }, { stop: [stop] }));
      await desk.run();
      const cut = desk.answer(1).choices[0]!;
      expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
      expect(cut.finishReason).toBe('stop');
      expect(tokenizer.decode(cut.tokenIds)).toContain(stop);
      expect(tokenizer.decode(cut.tokenIds.slice(0, -1))).not.toContain(stop);
      desk.engine.dispose();
    }
  });
});

describe('log-probabilities', () => {
  it('come one a token, the same for every plan, and add up to less than certainty', async () => {
    const ask = (decoder: GenerateOptions['decoder']) => answerTo(request({ decoder, logprobs: 2 }));
    const plain = await ask({ type: 'ar' });
    const drafted = await ask({ type: 'tidar', plan: 'dense', draftLength: 6, beta: 1 });
    const of = ({ events }: Answer) =>
      events.flatMap((event) => (event.type === 'step' ? (event.logprobs ?? []) : []));
    expect(of(drafted)).toEqual(of(plain));
    expect(of(plain).map(({ tokenId }) => tokenId)).toEqual(plain.choices[0]!.tokenIds);
    for (const { logprob, top } of of(plain)) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(2);
    }
  });

  it('of the prompt come with `admitted`, one a token, and bypass kept prefixes', async () => {
    const desk = new Desk();
    for (const id of [1, 2]) {
      desk.submit(id, request({ promptLogprobs: 1 }));
      await desk.run();
    }
    const [first, second] = [1, 2].map((id) => desk.answer(id).events[0]!);
    expect(first).toEqual(second);
    const told = first!.type === 'admitted' ? first!.promptLogprobs! : [];
    expect(told.map((one) => one?.tokenId)).toEqual([undefined, ...promptIds.slice(1)]);
    desk.engine.dispose();
  });
});
