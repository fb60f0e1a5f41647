import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import { ApiError } from '../common/http.ts';
import { streamAnswer } from './api.ts';
import type { Usage } from './api.ts';
import type { Prepared } from './settings.ts';
import { PassReader } from './tokens.ts';
import type { ShownPass } from './tokens.ts';

export type RunState = 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';

/** What a run came to so far. */
export interface RunNumbers {
  readonly numTokens: number;
  readonly numPasses: number;
  /** Tokens of passes after the prompt's, by such passes; undefined before there is one. */
  readonly tokensPerPass: number | undefined;
  /** The same tokens by what their passes took on the server: how the network bundles them says nothing. */
  readonly tokensPerSecond: number | undefined;
  readonly firstTokenMs: number | undefined;
  readonly elapsedMs: number;
}

/**
 * One answer while it comes and after. Passes are collected as they come and shown once a frame: `numShown` is what
 * drawing follows, however fast the stream is.
 */
export class Run {
  readonly request: Prepared;
  readonly passes: ShownPass[] = [];
  text = '';
  seed: string | undefined;
  finishReason: string | undefined;
  usage: Usage | undefined;
  error: ApiError | undefined;
  /** How often what is shown changed: at most once a frame. */
  numDrawn = 0;
  readonly #state = signal<RunState>('waiting');
  readonly #numShown = signal(0);
  readonly #abort = new AbortController();
  #startedAt = performance.now();
  #endedAt: number | undefined;
  #frame = 0;

  constructor(request: Prepared) {
    this.request = request;
  }

  get state(): ReadonlySignal<RunState> {
    return this.#state;
  }

  get numShown(): ReadonlySignal<number> {
    return this.#numShown;
  }

  get isOver(): boolean {
    return !['waiting', 'streaming'].includes(this.#state.value);
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Asks, and collects; settles when it is over, however it ends. */
  async start(key: string): Promise<void> {
    const reader = new PassReader();
    this.#startedAt = performance.now();
    try {
      const asked = { ...this.request, key, signal: this.#abort.signal };
      for await (const { text, pass, ...told } of streamAnswer(asked)) {
        this.text += text;
        if (told.seed !== undefined) this.seed = told.seed;
        if (told.finishReason !== undefined) this.finishReason = told.finishReason;
        if (told.usage !== undefined) this.usage = told.usage;
        if (pass === undefined && text === '') continue;
        this.passes.push(reader.read(pass, text, performance.now() - this.#startedAt));
        this.#state.value = 'streaming';
        this.#schedule();
      }
      this.#end('done');
    } catch (error) {
      this.error = this.#abort.signal.aborted ? undefined : toApiError(error);
      this.#end(this.#abort.signal.aborted ? 'stopped' : 'failed');
    }
  }

  /** Of the first passes; by default of all. */
  numbers(numPasses = this.passes.length): RunNumbers {
    const passes = this.passes.slice(0, numPasses);
    const numTokens = countTokens(passes);
    const [first, ...later] = passes;
    const after = numTokens - (first?.tokens.length ?? 0);
    const seconds = later.reduce((sum, { stats }) => sum + passMilliseconds(stats), 0) / 1000;
    const numForwards = countForwards(passes) - (first?.stats?.passes ?? 1);
    return {
      numTokens,
      numPasses: countForwards(passes),
      tokensPerPass: numForwards > 0 ? after / numForwards : undefined,
      tokensPerSecond: seconds > 0 ? after / seconds : undefined,
      firstTokenMs: first?.atMs,
      elapsedMs: (this.#endedAt ?? performance.now()) - this.#startedAt,
    };
  }

  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => this.#show());
  }

  #show(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.numDrawn += 1;
    this.#numShown.value = this.passes.length;
  }

  #end(state: RunState): void {
    this.#endedAt = performance.now();
    this.#show();
    this.#state.value = state;
  }
}

/** NaN where the server did not say, so that no rate comes of it. */
const passMilliseconds = (stats: ShownPass['stats']): number =>
  (stats?.milliseconds ?? NaN) + (stats?.draft_milliseconds ?? 0);
const countTokens = (passes: readonly ShownPass[]): number =>
  passes.reduce((total, { tokens }) => total + tokens.length, 0);
const countForwards = (passes: readonly ShownPass[]): number =>
  passes.reduce((total, { stats }) => total + (stats?.passes ?? 1), 0);

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  // A connection that is lost in the middle throws a TypeError; the rest is an answer that cannot be read.
  const isLost = error instanceof TypeError;
  return new ApiError(isLost ? 'The connection was lost.' : 'The answer could not be read.', {
    code: isLost ? 'broken_off' : 'unknown_form',
  });
}
