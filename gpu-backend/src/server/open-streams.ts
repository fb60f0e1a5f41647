import { TidarError } from '@tidar/shared/errors.ts';

/** The streams that are open, and whether new ones are taken. */
export class OpenStreams {
  readonly #open = new Set<AbortController>();
  #isDraining = false;
  #onIdle: () => void = () => undefined;

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Throws `shutting_down` once draining has begun. */
  assertTaking(): void {
    if (!this.#isDraining) return;
    throw new TidarError(
      'shutting_down',
      'The backend is shutting down and takes no new requests; try again later.',
    );
  }

  /** Registers a stream; aborting the controller with a TidarError ends it with that error. */
  open(): AbortController {
    this.assertTaking();
    const controller = new AbortController();
    this.#open.add(controller);
    return controller;
  }

  close(controller: AbortController): void {
    this.#open.delete(controller);
    if (this.#open.size === 0) this.#onIdle();
  }

  /** Takes no more; after `limitMs` what is still open ends with `shutting_down`. Returns when none is open. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#open.size === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const timer = setTimeout(() => this.endAll(shutDown()), limitMs);
    await idle;
    clearTimeout(timer);
  }

  endAll(reason: TidarError): void {
    for (const controller of this.#open) controller.abort(reason);
  }
}

const shutDown = (): TidarError =>
  new TidarError(
    'shutting_down',
    'The backend shut down before the text was complete; try again or resume it.',
  );
