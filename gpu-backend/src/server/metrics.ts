import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import type { EngineState, PassStats } from './engine-messages.ts';
import { SlotTimes } from './slot-times.ts';

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

const SEQUENCE_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];

const WRITE_BUCKETS = [0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1];

interface Queue {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly state: EngineState;
}

/**
 * Prometheus metrics: by vLLM's names and labels what vLLM has too, so that what watches it watches this as well; all
 * else as `tidar_…`.
 */
export class Metrics {
  readonly slotTimes = new SlotTimes();
  readonly #registry = new Registry();
  readonly #prompt = this.#counter('vllm:prompt_tokens_total', 'Tokens of prompts that were accepted.');
  readonly #generation = this.#counter('vllm:generation_tokens_total', 'Tokens generated.');
  readonly #passes = this.#counter('tidar_forward_passes_total', 'Forward passes of the model.');
  readonly #rows = this.#counter('tidar_forward_rows_total', 'Rows of all forward passes.');
  readonly #drafts = this.#counter(
    'vllm:spec_decode_num_drafts_total',
    'Forward passes that verified drafts.',
  );
  readonly #draftTokens = this.#counter('vllm:spec_decode_num_draft_tokens_total', 'Draft tokens verified.');
  readonly #accepted = this.#counter('vllm:spec_decode_num_accepted_tokens_total', 'Draft tokens accepted.');
  readonly #acceptedAt: Counter;
  readonly #prefixQueries = this.#counter(
    'vllm:prefix_cache_queries_total',
    'Prompt tokens that were looked up in the prefix cache.',
  );
  readonly #prefixHits = this.#counter(
    'vllm:prefix_cache_hits_total',
    'Prompt tokens that the prefix cache had, so that no forward pass computed them.',
  );
  readonly #passSequences = this.#histogram(
    'tidar_forward_pass_sequences',
    'Sequences in a forward pass, as each of them saw it.',
    SEQUENCE_BUCKETS,
  );
  readonly #planRows: Counter;
  readonly #success: Counter;
  readonly #failure: Counter;
  readonly #firstToken = this.#histogram(
    'vllm:time_to_first_token_seconds',
    'From the request to its first token.',
  );
  readonly #latency = this.#histogram(
    'vllm:e2e_request_latency_seconds',
    'From the request to its last event.',
  );
  readonly #betweenTokens = this.#histogram(
    'vllm:inter_token_latency_seconds',
    'From a step of a text to its next one, which may bring several tokens.',
  );
  readonly #queueTime = this.#histogram('vllm:request_queue_time_seconds', 'From the request to its slot.');

  readonly #journalTime = this.#histogram(
    'tidar_journal_write_seconds',
    'A transaction of the journal: the entries of one turn of the engine.',
    WRITE_BUCKETS,
  );
  readonly #journalEntries = this.#counter('tidar_journal_entries_total', 'Entries written to the journal.');

  constructor(queue: Queue, modelName: string) {
    const registers = [this.#registry];
    this.#registry.setDefaultLabels({ model_name: modelName, engine: '0' });
    this.#acceptedAt = new Counter({
      name: 'vllm:spec_decode_num_accepted_tokens_per_pos_total',
      help: 'Draft tokens accepted, by their place among their drafts.',
      labelNames: ['position'],
      registers,
    });
    this.#planRows = new Counter({
      name: 'tidar_plan_rows_total',
      help: 'Rows of forward passes, by the plan that laid them out.',
      labelNames: ['plan'],
      registers,
    });
    this.#success = new Counter({
      name: 'vllm:request_success_total',
      help: 'Choices that ended well, by reason.',
      labelNames: ['finished_reason'],
      registers,
    });
    this.#failure = new Counter({
      name: 'tidar_request_failure_total',
      help: 'Requests that were refused or ended with an error, by code.',
      labelNames: ['code'],
      registers,
    });
    this.#gauge('vllm:num_requests_running', 'Requests that are decoded now.', () => queue.numRunning);
    this.#gauge('vllm:num_requests_waiting', 'Requests that wait for a slot.', () => queue.numWaiting);
    this.#gauge(
      'vllm:kv_cache_usage_perc',
      'Share of the memory for caches that texts have; 1 is all of it.',
      () => queue.state.cacheUsage,
    );
    const numYields = (): number => queue.state.numYields;
    new Counter({
      name: 'vllm:num_preemptions_total',
      help: 'How often a text gave up its memory to another.',
      registers,
      collect(): void {
        this.reset();
        this.inc(numYields());
      },
    });
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

  /** What a journal holds, whenever somebody asks. */
  watchJournal(journal: { readonly numGenerations: number; readonly numBytes: number }): void {
    this.#gauge(
      'tidar_journal_generations',
      'Generations that the journal keeps.',
      () => journal.numGenerations,
    );
    this.#gauge('tidar_journal_bytes', "Size of the journal's file and its log.", () => journal.numBytes);
  }

  onJournalWrite(seconds: number, numEntries: number): void {
    this.#journalTime.observe(seconds);
    this.#journalEntries.inc(numEntries);
  }

  onFirstToken(seconds: number): void {
    this.#firstToken.observe(seconds);
  }

  onStep(secondsSinceLast: number): void {
    this.#betweenTokens.observe(secondsSinceLast);
  }

  /** Tokens of a prompt that the prefix cache was asked for, and those that it had. */
  onPrefixQuery(numPromptTokens: number, numCachedTokens: number): void {
    this.#prefixQueries.inc(numPromptTokens);
    this.#prefixHits.inc(numCachedTokens);
  }

  /**
   * A pass as one of its sequences saw it. The engine counts the decided token's own row as drafted and accepted;
   * vLLM counts drafts alone. The masks of block diffusion are none.
   */
  onPass(pass: PassStats, numTokens: number): void {
    const { numPasses, numRows, numDrafted, numAccepted, numSequences, plan } = pass;
    this.slotTimes.add(pass);
    this.#generation.inc(numTokens);
    // Each of its sequences tells of the pass: together they make it one.
    this.#passes.inc(numPasses / numSequences);
    this.#passSequences.observe(numSequences);
    this.#rows.inc(numRows);
    this.#planRows.inc({ plan }, numRows);
    if (numDrafted <= 1 || plan === 'diffusion') return;
    this.#drafts.inc();
    this.#draftTokens.inc(numDrafted - 1);
    this.#accepted.inc(numAccepted - 1);
    for (let position = 0; position < numAccepted - 1; position += 1) this.#acceptedAt.inc({ position });
  }

  /** A request that ended well; vLLM counts its choices one by one. */
  onEnd(finishReasons: readonly FinishReason[], seconds: number): void {
    // vLLM counts calls among the texts that ended by themselves.
    for (const reason of finishReasons)
      this.#success.inc({ finished_reason: reason === 'tool_calls' ? 'stop' : reason });
    this.#latency.observe(seconds);
  }

  onError(code: ErrorCode): void {
    this.#failure.inc({ code });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[] = LATENCY_BUCKETS): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, value: () => number): void {
    const collect = function (this: Gauge): void {
      this.set(value());
    };
    new Gauge({ name, help, registers: [this.#registry], collect });
  }
}
