import type { ToEngine } from './engine-messages.ts';
import type { CompileGrammar } from './grammars.ts';
import type { Scheduler } from './scheduler.ts';

type Submission = Extract<ToEngine, { type: 'submit' }>;
/** To a request that was submitted. */
type FollowUp = Exclude<Extract<ToEngine, { readonly id: number }>, Submission>;

/** Messages to the engine's thread. A request with a grammar reaches the scheduler once that is compiled. */
export class Mailbox {
  readonly #scheduler: Scheduler;
  readonly #compile: CompileGrammar;
  /** Requests whose grammar is being compiled, with what came for them meanwhile. */
  readonly #compiling = new Map<number, FollowUp[]>();
  #wake = (): void => undefined;
  /** Something was taken since the last `next`, which may have come while nobody waited for it. */
  #hasNews = false;
  isClosed = false;

  constructor(scheduler: Scheduler, compile: CompileGrammar) {
    this.#scheduler = scheduler;
    this.#compile = compile;
  }

  take(message: ToEngine): void {
    if (message.type === 'submit') this.#submit(message);
    else if (message.type === 'close') this.isClosed = true;
    else {
      const compiling = this.#compiling.get(message.id);
      if (compiling === undefined) this.#handOn(message);
      else compiling.push(message);
    }
    this.#tell();
  }

  /** Resolves when something was taken since the last call. */
  async next(): Promise<void> {
    if (!this.#hasNews) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#hasNews = false;
  }

  #tell(): void {
    this.#hasNews = true;
    this.#wake();
  }

  #submit(message: Submission): void {
    const { id, request, numCredits } = message;
    const { grammar } = request.generate;
    if (grammar === undefined) return this.#scheduler.submit(id, request, numCredits);
    const meanwhile: FollowUp[] = [];
    this.#compiling.set(id, meanwhile);
    this.#compile(grammar).then(
      (compiled) => {
        this.#compiling.delete(id);
        this.#scheduler.submit(id, request, numCredits, compiled);
        for (const followUp of meanwhile) this.#handOn(followUp);
        this.#tell();
      },
      (error: unknown) => {
        this.#compiling.delete(id);
        this.#scheduler.fail(id, error);
        this.#tell();
      },
    );
  }

  #handOn(message: FollowUp): void {
    switch (message.type) {
      case 'credit':
        return this.#scheduler.addCredits(message.id, message.numCredits);
      case 'extend':
        return this.#scheduler.extend(message.id, message.endToken);
      case 'cancel':
        return this.#scheduler.cancel(message.id);
    }
  }
}
