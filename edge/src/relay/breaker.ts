/** So many failures in a row open the circuit. */
const FAILURES_TO_OPEN = 3;
const FIRST_OPEN_MS = 2_000;
const LONGEST_OPEN_MS = 60_000;

/** What this isolate knows of a backend by what it asked of it. */
interface Circuit {
  numFailures: number;
  /** 0: closed. Later: nothing is asked until then; after that one request tries it. */
  openUntilMs: number;
  openMs: number;
  /** While one request tries: until when no other may. */
  probeUntilMs: number;
  numInFlight: number;
}

/**
 * Keeps requests off backends that fail: closed, open after some failures in a row, half open for one request after a
 * while, which closes it or opens it for twice as long.
 */
export class CircuitBreaker {
  readonly #circuits = new Map<string, Circuit>();

  /** Whether it may be asked; in a half-open circuit only the first who asks may. */
  allows(url: string, nowMs: number): boolean {
    const circuit = this.#circuits.get(url);
    if (circuit === undefined || circuit.openUntilMs === 0) return true;
    return circuit.openUntilMs <= nowMs && circuit.probeUntilMs <= nowMs;
  }

  /** A request goes to it. */
  begin(url: string, nowMs: number): void {
    const circuit = this.#circuitOf(url);
    circuit.numInFlight += 1;
    if (circuit.openUntilMs > 0) circuit.probeUntilMs = nowMs + circuit.openMs;
  }

  /** That request is over, however it went. */
  end(url: string): void {
    const circuit = this.#circuitOf(url);
    circuit.numInFlight = Math.max(0, circuit.numInFlight - 1);
  }

  succeeded(url: string): void {
    Object.assign(this.#circuitOf(url), { numFailures: 0, openUntilMs: 0, openMs: 0, probeUntilMs: 0 });
  }

  failed(url: string, nowMs: number): void {
    const circuit = this.#circuitOf(url);
    circuit.numFailures += 1;
    if (circuit.numFailures < FAILURES_TO_OPEN) return;
    circuit.openMs = Math.min(LONGEST_OPEN_MS, Math.max(FIRST_OPEN_MS, circuit.openMs * 2));
    circuit.openUntilMs = nowMs + circuit.openMs;
    circuit.probeUntilMs = 0;
  }

  numInFlight(url: string): number {
    return this.#circuits.get(url)?.numInFlight ?? 0;
  }

  #circuitOf(url: string): Circuit {
    const known = this.#circuits.get(url);
    if (known !== undefined) return known;
    const circuit = { numFailures: 0, openUntilMs: 0, openMs: 0, probeUntilMs: 0, numInFlight: 0 };
    this.#circuits.set(url, circuit);
    return circuit;
  }
}
