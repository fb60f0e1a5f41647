import {
  forgetAnswerSchema,
  readRequestSchema,
  renewAnswerSchema,
  requestPath,
} from '@tidar/shared/journal.ts';
import { type JournalAnswer, journalAnswerSchema } from '@tidar/shared/journal.ts';
import { errorBodySchema, TidarError } from '@tidar/shared/errors.ts';
import { utf8 } from '@tidar/shared/lease.ts';
import { REQUEST_ID_HEADER, type TraceContext, traceHeaders } from '@tidar/shared/trace-context.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import type { Grant } from '../ledger/types.ts';
import { leaseFor, type LeaseTerms } from '../lease.ts';
import { jsonOf } from './bounded-body.ts';
import { errorOfBackend, Unreachable } from './failures.ts';
import { openUpstream, type Timeouts, type Upstream } from './upstream.ts';

/** A journal's answer: the tokens of 16 choices of a long text. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** What every lease of a request says. */
export interface RequestIdentity {
  requestId: string;
  numChoices: number;
  tenant: string;
  fingerprint: string;
}

/** For whom a backend is asked: what its log has to say. */
export type AskedFor = RequestIdentity & { trace: TraceContext };

export interface LeaseSettings {
  secret: string;
  lifetimeMs: number;
}

/** What an edge asks of one backend for one attempt of one request, each with a lease of its own. */
export class Instance {
  readonly url: string;
  readonly #identity: AskedFor;
  readonly #attempt: number;
  readonly #leases: LeaseSettings;
  readonly #timeouts: Timeouts;

  constructor(
    url: string,
    identity: AskedFor,
    attempt: number,
    { leases, timeouts }: { leases: LeaseSettings; timeouts: Timeouts },
  ) {
    this.url = url;
    this.#identity = identity;
    this.#attempt = attempt;
    this.#leases = leases;
    this.#timeouts = timeouts;
  }

  /** Starts the attempt. */
  async generate(request: GenerateRequest, endToken: number, outer: AbortSignal): Promise<Upstream> {
    const body = utf8(JSON.stringify(request));
    const resumed = request.resume?.token_ids;
    const lease = await this.#lease({ purpose: 'generate', body, endToken, resumed });
    return this.#open('/v1/generate', body, lease, outer);
  }

  /** The events of the running or ended attempt, after those tokens. */
  async read(from: readonly number[], outer: AbortSignal): Promise<Upstream> {
    const body = utf8(JSON.stringify(readRequestSchema.parse({ from: [...from], stream: true })));
    const lease = await this.#lease({ purpose: 'read', body, endToken: 0 });
    return this.#open(requestPath(this.#identity.requestId), body, lease, outer);
  }

  /** What the journal knows of the request by now. */
  async journal(): Promise<JournalAnswer> {
    const body = utf8(JSON.stringify({ stream: false }));
    const lease = await this.#lease({ purpose: 'read', body, endToken: 0 });
    const { requestId, numChoices } = this.#identity;
    const answer = journalAnswerSchema.safeParse(await this.#post(requestPath(requestId), body, lease)).data;
    if (answer?.request_id === requestId && answer.token_counts.length === numChoices) return answer;
    throw new Unreachable('a journal that is none, or of another request');
  }

  /** Lets the running attempt go on to the grant's end; returns where it ends now. */
  async renew({ endToken }: Grant): Promise<number> {
    const body = new Uint8Array();
    const lease = await this.#lease({ purpose: 'renew', body, endToken });
    const answer = await this.#post(`${requestPath(this.#identity.requestId)}/lease`, body, lease);
    return renewAnswerSchema.parse(answer).end_token;
  }

  /** Deletes what the journal keeps of the request's text; of how many attempts it did. */
  async forget(): Promise<number> {
    const body = new Uint8Array();
    const lease = await this.#lease({ purpose: 'forget', body, endToken: 0 });
    const answer = await this.#post(`${requestPath(this.#identity.requestId)}/forget`, body, lease);
    return forgetAnswerSchema.parse(answer).num_forgotten;
  }

  #open(path: string, body: Uint8Array<ArrayBuffer>, lease: string, outer: AbortSignal): Promise<Upstream> {
    const { numChoices } = this.#identity;
    const request = { backend: this.url, path, body, headers: this.#headers(lease), numChoices };
    return openUpstream({ ...request, of: this.#identity, timeouts: this.#timeouts }, outer);
  }

  async #post(path: string, body: Uint8Array<ArrayBuffer>, lease: string): Promise<unknown> {
    try {
      const response = await fetch(this.url + path, {
        method: 'POST',
        headers: this.#headers(lease),
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(this.#timeouts.connectMs),
      });
      const answer = await jsonOf(response, MAX_ANSWER_BYTES);
      if (response.ok) return answer;
      throw errorOfBackend(errorBodySchema.parse(answer).error);
    } catch (error) {
      throw error instanceof TidarError ? error : new Unreachable(String(error));
    }
  }

  #headers(lease: string): Record<string, string> {
    const { requestId, trace } = this.#identity;
    return {
      'content-type': 'application/json',
      authorization: `Bearer ${lease}`,
      [REQUEST_ID_HEADER]: requestId,
      ...traceHeaders(trace),
    };
  }

  #lease(terms: Omit<LeaseTerms, 'expiresAtMs'>): Promise<string> {
    const target = { ...this.#identity, attempt: this.#attempt, backend: this.url };
    const expiresAtMs = Date.now() + this.#leases.lifetimeMs;
    return leaseFor(target, { ...terms, expiresAtMs }, this.#leases.secret);
  }
}
