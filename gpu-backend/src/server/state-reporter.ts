import type { Engine } from '../engine/engine.ts';
import type { EngineState } from './engine-messages.ts';

const INTERVAL_MS = 250;

/** Tells the other thread how the engine's memory is, where that has changed: seldom while it works. */
export class StateReporter {
  readonly #residence: Pick<Engine['residence'], 'usage' | 'numYields'>;
  readonly #tell: (state: EngineState) => void;
  #toldAt = -Infinity;
  #told: EngineState = { cacheUsage: 0, numYields: 0 };

  constructor(
    residence: Pick<Engine['residence'], 'usage' | 'numYields'>,
    tell: (state: EngineState) => void,
  ) {
    this.#residence = residence;
    this.#tell = tell;
  }

  /** Without a time at once: the engine is about to rest, and what is told then stands. */
  tell(now?: number): void {
    if (now !== undefined && now - this.#toldAt < INTERVAL_MS) return;
    const { usage: cacheUsage, numYields } = this.#residence;
    this.#toldAt = now ?? -Infinity;
    if (cacheUsage === this.#told.cacheUsage && numYields === this.#told.numYields) return;
    this.#told = { cacheUsage, numYields };
    this.#tell(this.#told);
  }
}
