import { TidarError } from '@tidar/shared/errors.ts';
import type { EndEvent, FinishEvent, StartEvent, StepEvent, Usage } from '@tidar/shared/protocol.ts';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import type { LedgerStub } from '../ledger/client.ts';
import { holdWith, type Price } from '../ledger/price.ts';
import type { BillReason, TokenCounts } from '../ledger/types.ts';

const REPORT_EVERY_TOKENS = 64;
const SETTLE_TRIES = 4;
const RETRY_MS = 200;

export interface MeterOptions {
  requestId: string;
  numChoices: number;
  /** Of each choice; absent: what the context leaves. */
  maxTokens: number | undefined;
  contextLength: number;
  price: Price;
  graceMs: number;
}

/**
 * Counts one request's tokens by their ids, those of all its choices together, reports them to the ledger on the way
 * and settles once. What a crash leaves open, the ledger settles by itself at the highest count reported.
 */
export class Meter {
  readonly #ledger: LedgerStub;
  readonly #options: MeterOptions;
  readonly #counts: TokenCounts = {
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    numForwardPasses: 0,
  };
  readonly #tokenIds: number[][];
  #hasStarted = false;
  #reason: 'stop' | 'length' = 'stop';
  #numReportedTokens = 0;
  #reporting: Promise<void> = Promise.resolve();
  #settled: Promise<void> | undefined;

  constructor(ledger: LedgerStub, options: MeterOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#tokenIds = Array.from({ length: options.numChoices }, () => []);
  }

  /** The prompt's true count: it corrects the ledger's hold before any token of the answer goes out. */
  start(event: StartEvent): Promise<void> {
    this.#hasStarted = true;
    this.#counts.promptTokens = event.num_prompt_tokens;
    this.#counts.cachedTokens = event.num_cached_tokens;
    return this.#report();
  }

  /** Tokens that are about to be sent. One forward pass decided them; how many choices shared it, the end tells. */
  step(event: StepEvent): void {
    this.#counts.completionTokens += event.token_ids.length;
    this.#tokenIds[event.choice]?.push(...event.token_ids);
    this.#counts.numForwardPasses += 1;
    if (this.#counts.completionTokens - this.#numReportedTokens < REPORT_EVERY_TOKENS) return;
    this.#numReportedTokens = this.#counts.completionTokens;
    // One report at a time, in order; the stream does not wait for it.
    this.#reporting = this.#reporting
      .then(() => this.#report())
      .catch(logged('report', this.#options.requestId));
  }

  finish(event: FinishEvent): void {
    if (event.finish_reason === 'length') this.#reason = 'length';
  }

  /** How a request ended that ended well: by its limit, if that cut any of its choices. */
  get reason(): 'stop' | 'length' {
    return this.#reason;
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
    this.#settled ??= this.#settle(finishReason).catch(logged('settle', this.#options.requestId));
    return this.#settled;
  }

  async #report(): Promise<void> {
    const { requestId, numChoices, maxTokens = Infinity, contextLength, price, graceMs } = this.#options;
    const hold = holdWith(this.#counts, { numChoices, maxTokens, contextLength }, price);
    await this.#ledger.report(requestId, { ...this.#counts, hold, graceMs });
  }

  async #settle(finishReason: BillReason): Promise<void> {
    // What never started cost nothing, and that is certain.
    const estimated = this.#hasStarted && finishReason !== 'stop' && finishReason !== 'length';
    const tokensHash = this.#hasStarted ? await hashTokenIds(this.#tokenIds) : null;
    const settlement = { ...this.#counts, finishReason, estimated, tokensHash };
    for (let tryIndex = 1; ; tryIndex += 1) {
      try {
        await this.#ledger.settle(this.#options.requestId, settlement);
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
