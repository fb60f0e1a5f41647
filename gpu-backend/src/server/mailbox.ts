import { TidarError } from '@tidar/shared/errors.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { ToEngine } from './engine-messages.ts';
import type { CompileGrammar } from './grammars.ts';
import type { Scheduler } from './scheduler.ts';

type Submission = Extract<ToEngine, { type: 'submit' }>;

/** Messages to the engine's thread. A request with a grammar reaches the scheduler once that is compiled. */
export class Mailbox {
  readonly #scheduler: Scheduler;
  readonly #compile: CompileGrammar;
  /** Requests whose grammar is being compiled, with what came for them meanwhile. */
  readonly #compiling = new Map<number, { numCredits: number; endToken: number; isCancelled: boolean }>();
  #wake = (): void => undefined;
  /** Something was taken since the last `next`, which may have come while nobody waited for it. */
  #hasNews = false;
  isClosed = false;

  constructor(scheduler: Scheduler, compile: CompileGrammar) {
    this.#scheduler = scheduler;
    this.#compile = compile;
  }

  take(message: ToEngine): void {
    const compiling = 'id' in message ? this.#compiling.get(message.id) : undefined;
    switch (message.type) {
      case 'submit':
        this.#submit(message);
        break;
      case 'credit':
        if (compiling === undefined) this.#scheduler.addCredits(message.id, message.numCredits);
        else compiling.numCredits += message.numCredits;
        break;
      case 'extend':
        if (compiling === undefined) this.#scheduler.extend(message.id, message.endToken);
        else compiling.endToken = Math.max(compiling.endToken, message.endToken);
        break;
      case 'cancel':
        if (compiling === undefined) this.#scheduler.cancel(message.id);
        else compiling.isCancelled = true;
        break;
      case 'close':
        this.isClosed = true;
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
    this.#compiling.set(id, { numCredits, endToken: 0, isCancelled: false });
    this.#compile(grammar).then(
      (compiled) => this.#submitCompiled(message, compiled),
      (error: unknown) => {
        this.#compiling.delete(id);
        this.#scheduler.fail(id, error);
        this.#tell();
      },
    );
  }

  #submitCompiled({ id, request }: Submission, grammar: CompiledGrammar): void {
    const waited = this.#compiling.get(id);
    this.#compiling.delete(id);
    if (waited?.isCancelled === true) {
      this.#scheduler.fail(id, new TidarError('cancelled', 'The generation was cancelled.'));
    } else {
      this.#scheduler.submit(id, request, waited?.numCredits ?? 0, grammar);
      this.#scheduler.extend(id, waited?.endToken ?? 0);
    }
    this.#tell();
  }
}
