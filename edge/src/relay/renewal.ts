import { TidarError } from '@tidar/shared/errors.ts';
import type { Account } from './account.ts';
import type { Instance } from './instance.ts';

const RETRY_MS = 250;
const LONGEST_RETRY_MS = 1_000;

/**
 * Gets a text its next slice while it streams: the ledger's grant first, then the backend's word that it has it. The
 * stream does not wait for it; where it fails, the slice's end tells.
 */
export class Renewal {
  readonly #account: Account;
  readonly #signal: AbortSignal;
  #asking: Instance | undefined;

  constructor(account: Account, signal: AbortSignal) {
    this.#account = account;
    this.#signal = signal;
  }

  /** One at a time; another instance's renewal takes the place of the one before. */
  ask(instance: Instance): void {
    if (this.#asking === instance) return;
    this.#asking = instance;
    void this.#renew(instance).finally(() => {
      if (this.#asking === instance) this.#asking = undefined;
    });
  }

  async #renew(instance: Instance): Promise<void> {
    while (this.#asking === instance && this.#account.wantsMore && !this.#signal.aborted) {
      const waitMs = await this.#tryOnce(instance);
      if (waitMs === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** How long to wait before another try; undefined where none is of use. */
  async #tryOnce(instance: Instance): Promise<number | undefined> {
    try {
      const before = this.#account.endToken;
      const grant = await this.#account.renew();
      if (grant.endToken <= before) return RETRY_MS;
      await instance.renew(grant);
      this.#account.accept(grant);
      return this.#account.wantsMore ? 0 : undefined;
    } catch (error) {
      if (error instanceof TidarError && !error.retryable) return undefined;
      const asked = error instanceof TidarError ? error.retryAfterMs : undefined;
      return Math.min(LONGEST_RETRY_MS, asked ?? RETRY_MS);
    }
  }
}
