import { TidarError } from '@tidar/shared/errors.ts';
import type { EndEvent, StartEvent, StepEvent, Usage } from '@tidar/shared/protocol.ts';
import type { LedgerStub } from '../ledger/client.ts';
import type { BillReason, TokenCounts } from '../ledger/types.ts';

const REPORT_EVERY_TOKENS = 64;
const SETTLE_TRIES = 4;
const RETRY_MS = 200;

/**
 * Counts one request's tokens by their ids, reports them to the ledger on the way and settles once. What a crash
 * leaves open, the ledger settles by itself at the highest count reported.
 */
export class Meter {
  readonly #ledger: LedgerStub;
  readonly #requestId: string;
  readonly #maxTokens: number;
  readonly #graceMs: number;
  readonly #counts: TokenCounts = {
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    numForwardPasses: 0,
  };
  #hasStarted = false;
  #numReportedTokens = 0;
  #reporting: Promise<void> = Promise.resolve();
  #settled: Promise<void> | undefined;

  constructor(ledger: LedgerStub, options: { requestId: string; maxTokens: number; graceMs: number }) {
    this.#ledger = ledger;
    this.#requestId = options.requestId;
    this.#maxTokens = options.maxTokens;
    this.#graceMs = options.graceMs;
  }

  /** The prompt's true count: it corrects the ledger's hold before any token of the answer goes out. */
  start(event: StartEvent): Promise<void> {
    this.#hasStarted = true;
    this.#counts.promptTokens = event.num_prompt_tokens;
    this.#counts.cachedTokens = event.num_cached_tokens;
    return this.#report();
  }

  /** Tokens that are about to be sent. One forward pass decided them. */
  step(event: StepEvent): void {
    this.#counts.completionTokens += event.token_ids.length;
    this.#counts.numForwardPasses += 1;
    if (this.#counts.completionTokens - this.#numReportedTokens < REPORT_EVERY_TOKENS) return;
    this.#numReportedTokens = this.#counts.completionTokens;
    // One report at a time, in order; the stream does not wait for it.
    this.#reporting = this.#reporting.then(() => this.#report()).catch(logged('report', this.#requestId));
  }

  /** The backend's own count of forward passes; its token counts must be those of the ids it sent. */
  end(event: EndEvent): Usage {
    this.#counts.numForwardPasses = event.usage.num_forward_passes;
    if (event.usage.completion_tokens !== this.#counts.completionTokens) {
      const { completionTokens } = this.#counts;
      const internal = `end says ${event.usage.completion_tokens} completion tokens, ${completionTokens} ids came`;
      throw new TidarError('backend_unavailable', 'The backend miscounted its tokens. Try again.', {
        internal,
      });
    }
    return this.usage();
  }

  usage(): Usage {
    return {
      prompt_tokens: this.#counts.promptTokens,
      completion_tokens: this.#counts.completionTokens,
      cached_tokens: this.#counts.cachedTokens,
      num_forward_passes: this.#counts.numForwardPasses,
    };
  }

  /** Writes the bill, the first time that it is called. It never throws: the ledger's alarm is the second net. */
  settle(finishReason: BillReason): Promise<void> {
    this.#settled ??= this.#settle(finishReason).catch(logged('settle', this.#requestId));
    return this.#settled;
  }

  async #report(): Promise<void> {
    const holdTokens = this.#counts.promptTokens + this.#maxTokens;
    await this.#ledger.report(this.#requestId, { ...this.#counts, holdTokens, graceMs: this.#graceMs });
  }

  async #settle(finishReason: BillReason): Promise<void> {
    // What never started cost nothing, and that is certain.
    const estimated = this.#hasStarted && (finishReason === 'cancelled' || finishReason === 'error');
    const settlement = { ...this.#counts, finishReason, estimated };
    for (let tryIndex = 1; ; tryIndex += 1) {
      try {
        await this.#ledger.settle(this.#requestId, settlement);
        return;
      } catch (error) {
        if (tryIndex === SETTLE_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * tryIndex));
      }
    }
  }
}

const logged =
  (action: string, requestId: string) =>
  (error: unknown): void => {
    console.error(
      JSON.stringify({ event: 'ledger_failed', action, request_id: requestId, reason: String(error) }),
    );
  };
