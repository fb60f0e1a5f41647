import { fileURLToPath } from 'node:url';
import { OPEN_QUESTION } from '../../../../test/support/open-question.ts';
import type { GenerateOptions } from '../../decode/generate.ts';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { Engine } from '../../engine/engine.ts';
import { FIXED_PLANS } from '../../engine/plan-chooser.ts';
import { sampled } from '../../engine/testing.ts';
import { loadModelFolder } from '../../model/folder.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { AnswerReader } from '../answer-reader.ts';
import type { EngineError, EngineEvent, EngineRequest, FromEngine } from '../engine-messages.ts';
import { openGrammars } from '../grammars.ts';
import type { CompileGrammar } from '../grammars.ts';
import { Scheduler } from '../scheduler.ts';

const DEMO = fileURLToPath(new URL('../../../models/demo', import.meta.url));
const PLENTY = 10_000;

export const SAMPLED = sampled({ temperature: 1.3, seed: 5n });

export interface Answer {
  choices: { tokenIds: number[]; text: string; finishReason?: string }[];
  events: EngineEvent[];
  error?: EngineError;
}

/** The demo model, and requests to it. */
export class Demo {
  readonly session: ModelSession;
  readonly tokenizer: Tokenizer;
  readonly promptIds: number[];

  static async open(): Promise<Demo> {
    const folder = loadModelFolder(DEMO);
    const { tokenizer } = folder;
    if (tokenizer === undefined) throw new Error('the demo model has lost its tokenizer');
    return new Demo(await openModel(folder, { numThreads: 1 }), tokenizer);
  }

  private constructor(session: ModelSession, tokenizer: Tokenizer) {
    this.session = session;
    this.tokenizer = tokenizer;
    this.promptIds = tokenizer.encodeChat([{ role: 'user', content: OPEN_QUESTION }]);
  }

  request(generate: Partial<GenerateOptions> = {}, rest: Partial<EngineRequest> = {}): EngineRequest {
    return {
      numChoices: 1,
      stop: [],
      tenant: 'a',
      ...rest,
      generate: {
        promptIds: this.promptIds,
        maxTokens: 40,
        decoder: { type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 },
        sampling: SAMPLED,
        stopTokenIds: [],
        ...generate,
      },
    };
  }

  openGrammars(): Promise<CompileGrammar> {
    return openGrammars(this.tokenizer, this.session.config);
  }

  /** A scheduler whose engine keeps prefixes. */
  desk(session = this.session): Desk {
    const engine = new Engine(session, {
      chooser: FIXED_PLANS,
      maxCacheBytes: 1 << 28,
      prefixCacheBytes: 1 << 24,
      prefillTokens: 64,
      sharedPrefillTokens: 16,
    });
    return new Desk(engine, this.tokenizer);
  }

  /** The answer to a request that is alone. */
  async answerTo(request: EngineRequest): Promise<Answer> {
    const desk = this.desk();
    desk.submit(1, request);
    await desk.run();
    desk.engine.dispose();
    return desk.answer(1);
  }

  /** What a reader has of a choice after so many of its tokens. */
  textAfter(answer: Answer, { stop, form }: EngineRequest, choice: number, numTokens: number): string {
    const whole = answer.choices[choice];
    if (whole === undefined) throw new RangeError(`there is no choice ${choice}`);
    const { tokenIds, text } = whole;
    if (numTokens === tokenIds.length) return text;
    const reader = new AnswerReader({ tokenizer: this.tokenizer, stop, form, choice });
    return reader.push(tokenIds.slice(0, numTokens)).text;
  }
}

/** A scheduler and what it told of each request. */
export class Desk {
  readonly engine: Engine;
  readonly scheduler: Scheduler;
  readonly #answers = new Map<number, Answer>();

  constructor(engine: Engine, tokenizer: Tokenizer) {
    this.engine = engine;
    const emit = (message: FromEngine): void => this.#take(message);
    this.scheduler = new Scheduler({ engine, tokenizer, sharePrefixes: false, emit });
  }

  submit(id: number, request: EngineRequest, numCredits = PLENTY): void {
    this.expect(id, request);
    this.scheduler.submit(id, request, numCredits);
  }

  /** Makes room for the answer to a request that somebody else submits. */
  expect(id: number, request: EngineRequest): void {
    const choices = Array.from({ length: request.numChoices }, () => ({ tokenIds: [], text: '' }));
    this.#answers.set(id, { choices, events: [] });
  }

  async run(): Promise<void> {
    while (await this.scheduler.step()) this.scheduler.checkIntegrity();
    this.scheduler.checkIntegrity();
  }

  answer(id: number): Answer {
    const answer = this.#answers.get(id);
    if (answer === undefined) throw new Error(`nothing was asked as ${id}`);
    return answer;
  }

  #take(message: FromEngine): void {
    if (message.type === 'error') this.answer(message.id).error = message.error;
    if (message.type !== 'event') return;
    const { event, id } = message;
    const { choices, events } = this.answer(id);
    events.push(event);
    const choice = 'choice' in event ? choices[event.choice] : undefined;
    if (choice === undefined) return;
    if (event.type === 'finish') choice.finishReason = event.finishReason;
    if (event.type !== 'step') return;
    choice.tokenIds.push(...event.tokenIds);
    choice.text += event.text;
  }
}
