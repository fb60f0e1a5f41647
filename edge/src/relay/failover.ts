import { TidarError } from '@tidar/shared/errors.ts';
import type { EndEvent, GenerateRequest } from '@tidar/shared/protocol.ts';
import { isForAnother, Unreachable } from './failures.ts';
import type { Route } from './fleet.ts';
import { Overlap, type Position } from './position.ts';
import type { RelayOptions } from './relay.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;
/** So often in a row a text may break off before its next token: it may be the text that ends its backends. */
const MAX_BARREN = 3;

/** The relay whose backend failed. */
export interface FailoverHost {
  readonly options: Pick<
    RelayOptions,
    'account' | 'tally' | 'identity' | 'request' | 'prefixKey' | 'pool' | 'contextLength' | 'failoverMs'
  >;
  readonly controller: AbortController;
  readonly position: Position;
  /** Reads on the present attempt there, if it begins before the deadline. */
  readAt(url: string, deadlineMs: number): Promise<void>;
  /** Starts the present attempt there, likewise. */
  generateAt(url: string, request: GenerateRequest, deadlineMs: number, overlap: Overlap): Promise<void>;
}

/**
 * Finds who goes on with an answer whose backend failed: the same generation if only its connection is gone, else
 * another attempt at a backend of the same fingerprint, which gives the same text. Bounded in time.
 */
export class Failover {
  readonly #relay: FailoverHost;
  readonly #cause: unknown;
  readonly #deadlineMs: number;
  readonly #numTokens: number;
  readonly #numBarren: number;
  /** Whether the attempt may still be read where it was. */
  #mayRead: boolean;
  #last: unknown;

  constructor(relay: FailoverHost, cause: unknown, before?: Failover) {
    this.#relay = relay;
    this.#cause = cause;
    this.#last = cause;
    this.#deadlineMs = Date.now() + relay.options.failoverMs;
    this.#mayRead = cause instanceof Unreachable && !cause.isSilent;
    this.#numTokens = relay.options.tally.counts().completionTokens;
    const isBarren = before !== undefined && before.#numTokens === this.#numTokens;
    this.#numBarren = isBarren ? before.#numBarren + 1 : 1;
  }

  /** Puts the relay on another source. Where all is there but the end, that is returned. */
  async run(url: string): Promise<EndEvent | undefined> {
    const { tally, account } = this.#relay.options;
    if (tally.isFinished) return { type: 'end', usage: tally.usage() };
    if (this.#numBarren > MAX_BARREN) throw this.#cause;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
      this.#relay.controller.signal.throwIfAborted();
      // The ledger says whether this connection still counts; it has moved or restarted if it says nothing.
      const isHeard = await this.#attempt(() => account.prove());
      if (isHeard && ((await this.#readAgain(url)) || (await this.#raise(url)))) return undefined;
      if (!this.#mayGoOn || Date.now() + waitMs > this.#deadlineMs) throw this.#exhausted();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  get #mayGoOn(): boolean {
    const { account, request } = this.#relay.options;
    return this.#mayRead || (request !== undefined && !account.isClosed);
  }

  async #readAgain(url: string): Promise<boolean> {
    if (!this.#mayRead) return false;
    try {
      await this.#relay.readAt(url, this.#deadlineMs);
      return true;
    } catch (error) {
      this.#last = error;
      // It is there and says that it has it no more: nothing is left to read.
      if (!(error instanceof Unreachable)) this.#mayRead = false;
      if (!isForAnother(error)) throw error;
      return false;
    }
  }

  async #raise(url: string): Promise<boolean> {
    const { account, request } = this.#relay.options;
    if (request === undefined || account.isClosed) return false;
    for (const { backend } of await this.#routes(url)) {
      const [resumed, overlap] = this.#resume(request);
      const isOpen = await this.#attempt(async () => {
        await account.raise(backend.url);
        await this.#relay.generateAt(backend.url, resumed, this.#deadlineMs, overlap);
      });
      if (isOpen) return true;
      // A limit of the key is the same at every backend.
      if (this.#last instanceof TidarError && this.#last.code === 'rate_limit_exceeded') return false;
    }
    return false;
  }

  /** Backends of the same fingerprint; the one that failed comes last. */
  async #routes(url: string): Promise<Route[]> {
    const { pool, prefixKey, identity } = this.#relay.options;
    try {
      const routes = await pool.routes(prefixKey, identity.fingerprint);
      const isOther = ({ backend }: Route): boolean => backend.url !== url;
      return [...routes.filter(isOther), ...routes.filter((route) => !isOther(route))];
    } catch {
      // Nobody serves the model at the moment.
      return [];
    }
  }

  /** The request with what there is of its answer, and what its repeated stream has that the client has too. */
  #resume(request: GenerateRequest): [request: GenerateRequest, overlap: Overlap] {
    const { tally, contextLength } = this.#relay.options;
    const { characters } = this.#relay.position;
    const tokens = characters.map(() => 0);
    if (this.#numTokens === 0) return [request, new Overlap({ tokens, characters })];
    const tokenIds = tally.tokenIds.map((ids) => [...ids]);
    const resume = { prompt_token_ids: [...tally.promptTokenIds], token_ids: tokenIds };
    const limit = Math.min(request.max_tokens ?? Infinity, contextLength - tally.prompt.promptTokens);
    if (tokenIds.some(({ length }) => length < limit)) {
      return [{ ...request, resume }, new Overlap({ tokens, characters })];
    }
    // Nothing is left to generate but how it ended: that a choice goes through its last step again tells.
    const choice = tally.finishReasons.indexOf(undefined);
    const { numTokens, numCharacters } = tally.lastStep(choice);
    const without = tokenIds.map((ids, index) =>
      index === choice ? ids.slice(0, ids.length - numTokens) : ids,
    );
    const repeated = {
      tokens: tokens.with(choice, numTokens),
      characters: characters.with(choice, numCharacters),
    };
    return [{ ...request, resume: { ...resume, token_ids: without } }, new Overlap(repeated)];
  }

  /** Whether it went well; what no other try can mend is thrown. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#last = error;
      const isFinal = error instanceof TidarError && !isForAnother(error) && !isLimit(error);
      if (isFinal || this.#relay.controller.signal.aborted) throw error;
      return false;
    }
  }

  #exhausted(): unknown {
    if (this.#last instanceof TidarError && isLimit(this.#last)) return this.#last;
    // The journal has said all that it has, and nobody may generate more of what has its bill.
    if (this.#relay.options.account.isClosed && !this.#mayRead) return endedEarly();
    const message =
      'The backend failed before the answer was complete, and no other of the same version could go on with it. ' +
      'Try again.';
    const internal = `first: ${String(this.#cause)}; last: ${String(this.#last)}`;
    return new TidarError('backend_unavailable', message, { internal, retryAfterMs: 1_000 });
  }
}

function endedEarly(): TidarError {
  const message = 'This answer ended early: it was billed for what there is of it, and nothing can be added.';
  return new TidarError('conflict', message);
}

const isLimit = ({ code }: TidarError): boolean => code === 'rate_limit_exceeded';
