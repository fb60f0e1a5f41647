import type { Tokenizer } from '../../gpu-backend/src/model/tokenizer.ts';
import type { EngineRequest, FromEngine, ToEngine } from '../../gpu-backend/src/server/engine-messages.ts';

export interface Pace {
  /** From a request to its first token, and from each to the next. */
  readonly intervalMs: number;
  /** What every text is: as many of these tokens as it was asked for, and from the first again. */
  readonly tokenIds: readonly number[];
}

interface Open {
  readonly id: number;
  readonly request: EngineRequest;
  readonly text: ReturnType<Tokenizer['stream']>;
  numTokens: number;
  numCredits: number;
  endToken: number;
  nextAtMs: number;
}

const NO_PASS = { numPasses: 1, numRows: 1, numDrafted: 0, numAccepted: 0, milliseconds: 0, plan: 'paced' };

/**
 * Stands in for the model in `npm run bench -- load`: keeps the engine's side of the messages, its credits and its
 * grants, and makes up the tokens by the clock. Everything around it is the real backend.
 */
export class PacedEngine {
  readonly #pace: Pace;
  readonly #tokenizer: Tokenizer;
  readonly #emit: (message: FromEngine) => void;
  readonly #open = new Map<number, Open>();

  constructor(pace: Pace, tokenizer: Tokenizer, emit: (message: FromEngine) => void) {
    this.#pace = pace;
    this.#tokenizer = tokenizer;
    this.#emit = emit;
  }

  take(message: Exclude<ToEngine, { type: 'close' }>, nowMs: number): void {
    if (message.type === 'submit')
      return this.#submit(message.id, message.request, message.numCredits, nowMs);
    const open = this.#open.get(message.id);
    if (open === undefined) return;
    if (message.type === 'credit') open.numCredits += message.numCredits;
    else if (message.type === 'extend') open.endToken = Math.max(open.endToken, message.endToken);
    else {
      this.#open.delete(open.id);
      const error = { code: 'cancelled', message: 'The generation was cancelled.', retryable: true } as const;
      this.#emit({ type: 'error', id: open.id, error });
    }
  }

  /** All tokens that are due, one a text. */
  tick(nowMs: number): void {
    for (const open of this.#open.values()) {
      const mayGoOn = open.numCredits > 0 && open.numTokens < open.endToken;
      if (mayGoOn && open.nextAtMs <= nowMs) this.#step(open, nowMs);
    }
  }

  #submit(id: number, request: EngineRequest, numCredits: number, nowMs: number): void {
    const { endToken = Infinity, committedByChoice } = request;
    const numTokens = committedByChoice?.[0]?.length ?? 0;
    const text = this.#tokenizer.stream();
    const nextAtMs = nowMs + this.#pace.intervalMs;
    const open = { id, request, text, numTokens: 0, numCredits, endToken, nextAtMs };
    while (open.numTokens < numTokens) this.#nextToken(open);
    this.#open.set(id, open);
    this.#emit({ type: 'event', id, event: { type: 'admitted', numCachedTokens: 0 } });
  }

  #step(open: Open, nowMs: number): void {
    const { id, request } = open;
    const { tokenId, text: certain } = this.#nextToken(open);
    const isLast = open.numTokens >= request.generate.maxTokens;
    const text = certain + (isLast ? open.text.flush() : '');
    open.numCredits -= 1;
    // Late ticks are made up for, so that the pace is kept over a whole text.
    open.nextAtMs = Math.max(open.nextAtMs + this.#pace.intervalMs, nowMs - this.#pace.intervalMs);
    const pass = { ...NO_PASS, numSequences: this.#open.size };
    this.#emit({
      type: 'event',
      id,
      event: { type: 'step', choice: 0, tokenIds: [tokenId], text, isLast, pass },
    });
    if (!isLast) return;
    this.#open.delete(id);
    this.#emit({ type: 'event', id, event: { type: 'finish', choice: 0, finishReason: 'length' } });
    this.#emit({ type: 'event', id, event: { type: 'end', numForwardPasses: open.numTokens } });
  }

  #nextToken(open: Open): { tokenId: number; text: string } {
    const { tokenIds } = this.#pace;
    const tokenId = tokenIds[open.numTokens % tokenIds.length] ?? 0;
    open.numTokens += 1;
    return { tokenId, text: open.text.push([tokenId]) };
  }
}
