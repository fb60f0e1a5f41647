import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import type { PassStats } from './engine-messages.ts';

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

interface Queue {
  readonly numRunning: number;
  readonly numWaiting: number;
}

/** Prometheus metrics, under the names that vLLM uses (without its prefix) where it has them. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #prompt = this.#counter('prompt_tokens_total', 'Tokens of prompts that were accepted.');
  readonly #generation = this.#counter('generation_tokens_total', 'Tokens generated.');
  readonly #passes = this.#counter('forward_passes_total', 'Forward passes of the model.');
  readonly #rows = this.#counter('forward_rows_total', 'Rows of all forward passes.');
  readonly #drafts = this.#counter('spec_decode_num_drafts_total', 'Forward passes that verified drafts.');
  readonly #draftTokens = this.#counter('spec_decode_num_draft_tokens_total', 'Draft tokens verified.');
  readonly #accepted = this.#counter('spec_decode_num_accepted_tokens_total', 'Draft tokens accepted.');
  readonly #success: Counter;
  readonly #failure: Counter;
  readonly #firstToken = this.#histogram(
    'time_to_first_token_seconds',
    'From the request to its first token.',
  );
  readonly #latency = this.#histogram('e2e_request_latency_seconds', 'From the request to its last event.');
  readonly #queueTime = this.#histogram('request_queue_time_seconds', 'From the request to its slot.');

  constructor(queue: Queue) {
    const registers = [this.#registry];
    this.#success = new Counter({
      name: 'request_success_total',
      help: 'Requests that ended well, by reason.',
      labelNames: ['finished_reason'],
      registers,
    });
    this.#failure = new Counter({
      name: 'request_failure_total',
      help: 'Requests that were refused or ended with an error, by code.',
      labelNames: ['code'],
      registers,
    });
    this.#gauge('num_requests_running', 'Requests that are decoded now.', () => queue.numRunning);
    this.#gauge('num_requests_waiting', 'Requests that wait for a slot.', () => queue.numWaiting);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  onAdmitted(numPromptTokens: number, queueSeconds: number): void {
    this.#prompt.inc(numPromptTokens);
    this.#queueTime.observe(queueSeconds);
  }

  onFirstToken(seconds: number): void {
    this.#firstToken.observe(seconds);
  }

  /** The engine counts the decided token's own row as drafted and accepted; vLLM counts drafts alone. */
  onPass({ numRows, numDrafted, numAccepted }: PassStats, numTokens: number): void {
    this.#generation.inc(numTokens);
    this.#passes.inc();
    this.#rows.inc(numRows);
    if (numDrafted <= 1) return;
    this.#drafts.inc();
    this.#draftTokens.inc(numDrafted - 1);
    this.#accepted.inc(numAccepted - 1);
  }

  onEnd(finishReason: FinishReason, seconds: number): void {
    this.#success.inc({ finished_reason: finishReason });
    this.#latency.observe(seconds);
  }

  onError(code: ErrorCode): void {
    this.#failure.inc({ code });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: LATENCY_BUCKETS, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, value: () => number): void {
    const collect = function (this: Gauge): void {
      this.set(value());
    };
    new Gauge({ name, help, registers: [this.#registry], collect });
  }
}
