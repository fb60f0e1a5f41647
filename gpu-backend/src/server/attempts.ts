import { TidarError } from '@tidar/shared/errors.ts';

const SWEEP_EVERY = 256;

/**
 * Which (request id, attempt) were started, so that each is started once. In memory: a lease's own expiry bounds how
 * long an entry is of use, and a restarted backend forgets.
 */
export class AttemptRegistry {
  readonly #expiries = new Map<string, number>();
  #numStarts = 0;

  /** Throws `duplicate_attempt` for one that was started before. */
  assertNew(requestId: string, attempt: number): void {
    if (!this.#expiries.has(attemptKey(requestId, attempt))) return;
    throw new TidarError(
      'duplicate_attempt',
      `Attempt ${attempt} of request ${requestId} was started before; an attempt is started once.`,
    );
  }

  /** Remembers a start until its lease has expired. */
  add(requestId: string, attempt: number, expiresAtMs: number): void {
    this.#expiries.set(attemptKey(requestId, attempt), expiresAtMs);
    this.#numStarts += 1;
    if (this.#numStarts % SWEEP_EVERY === 0) this.#forgetExpired(Date.now());
  }

  get size(): number {
    return this.#expiries.size;
  }

  #forgetExpired(nowMs: number): void {
    for (const [key, expiresAtMs] of this.#expiries) {
      if (expiresAtMs <= nowMs) this.#expiries.delete(key);
    }
  }
}

const attemptKey = (requestId: string, attempt: number): string => `${attempt}:${requestId}`;
