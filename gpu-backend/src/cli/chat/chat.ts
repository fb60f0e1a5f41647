import { randomBytes } from 'node:crypto';
import { colouredByPass, dimmed } from '../pass-colour.ts';
import { type Answer, comparison, numbersOf, readAnswer, statisticsLine } from './answer.ts';
import { ChatError, type Endpoint, type ServedModel, streamChat } from './api.ts';
import { type ChatDecoder, type ChatSettings, hasDrafts, type Message, requestBody } from './settings.ts';

const write = (text: string): void => void process.stdout.write(text);

export interface ChatStart {
  readonly endpoint: Endpoint;
  readonly model: ServedModel;
  readonly settings: ChatSettings;
  readonly system: string | undefined;
  readonly forgets: boolean;
}

/** A conversation: what was said, and how the next message is answered. */
export class Chat {
  readonly model: ServedModel;
  settings: ChatSettings;
  readonly #endpoint: Endpoint;
  readonly #opening: readonly Message[];
  readonly #forgets: boolean;
  #messages: Message[] = [];
  #lastQuestion: string | undefined;
  #running: AbortController | undefined;

  constructor({ endpoint, model, settings, system, forgets }: ChatStart) {
    this.model = model;
    this.settings = settings;
    this.#endpoint = endpoint;
    this.#opening = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#forgets = forgets;
  }

  /** Ends the answer that runs; false: none does. */
  stop(): boolean {
    this.#running?.abort();
    return this.#running !== undefined;
  }

  change(settings: Partial<ChatSettings>): void {
    if (settings.decoder === 'tidar') this.#assertDrafts();
    this.settings = { ...this.settings, ...settings };
  }

  /** Forgets what was said. */
  reset(): void {
    this.#messages = [];
  }

  /** Answers a message; what was stopped stays in the conversation as far as it came. */
  async say(question: string): Promise<void> {
    this.#lastQuestion = question;
    await this.#while(async (signal) => {
      this.#remember(question, await this.#answer(question, this.settings, signal));
    });
  }

  /** The same message by plain decoding and by TiDAR, one after the other, with one seed; then the two compared. */
  async race(given: string): Promise<void> {
    const question = given === '' ? this.#lastQuestion : given;
    if (question === undefined) throw new ChatError('There is no message yet to race with: /race <message>.');
    this.#assertDrafts();
    this.#lastQuestion = question;
    const seed = this.settings.seed ?? randomBytes(8).readBigUInt64LE().toString();
    await this.#while(async (signal) => {
      const answers: Answer[] = [];
      for (const decoder of ['ar', 'tidar'] satisfies ChatDecoder[]) {
        write(`${dimmed(`── ${decoder}`)}\n`);
        answers.push(await this.#answer(question, { ...this.settings, decoder, seed }, signal));
        if (signal.aborted) return;
      }
      const [plain, drafted] = answers;
      if (plain === undefined || drafted === undefined) return;
      write(`${dimmed(verdict(plain, drafted))}\n`);
      this.#remember(question, drafted);
    });
  }

  async #answer(question: string, settings: ChatSettings, signal: AbortSignal): Promise<Answer> {
    const said = this.#forgets ? [] : this.#messages;
    const messages = [...this.#opening, ...said, { role: 'user', content: question } as const];
    const body = requestBody(this.model.id, messages, settings);
    const show = (text: string, pass: number): void => write(colouredByPass(text, pass));
    const answer = await readAnswer(streamChat(this.#endpoint, body, signal), show, signal);
    write(`\n${dimmed(endingOf(answer, settings))}\n`);
    return answer;
  }

  #remember(question: string, { text }: Answer): void {
    if (text === '') return;
    this.#messages.push({ role: 'user', content: question }, { role: 'assistant', content: text });
  }

  /** One answer at a time can be stopped; a line ends what was begun, whatever came. */
  async #while(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    this.#running = controller;
    try {
      await work(controller.signal);
    } finally {
      this.#running = undefined;
    }
  }

  #assertDrafts(): void {
    if (!hasDrafts(this.model))
      throw new ChatError(`${this.model.id} has no diffusion mode: it decodes by ar alone.`);
  }
}

function endingOf(answer: Answer, { temperature }: ChatSettings): string {
  const how = { stop: '', length: ' · cut at the most tokens' }[answer.finishReason ?? ''] ?? ' · stopped';
  const seed = temperature > 0 && answer.seed !== undefined ? ` · seed ${answer.seed}` : '';
  return `${statisticsLine(answer)}${seed}${how}`;
}

function verdict(plain: Answer, drafted: Answer): string {
  const [one, other] = [numbersOf(plain), numbersOf(drafted)];
  const speed = one.tokensPerSecond > 0 ? other.tokensPerSecond / one.tokensPerSecond : 0;
  const passes = `${one.numPasses} passes by ar, ${other.numPasses} by tidar`;
  return `── ${comparison(plain.text, drafted.text)} · ${passes} · tokens/s × ${speed.toFixed(2)}`;
}
