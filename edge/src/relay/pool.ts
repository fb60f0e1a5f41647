import { TidarError } from '@tidar/shared/errors.ts';
import { CircuitBreaker } from './breaker.ts';
import { Unreachable } from './failures.ts';
import { type FleetSource, forgetFleet, readFleet, type Route, routesTo } from './fleet.ts';
import { inOrder } from './routing.ts';

/** What this isolate knows of the backends by what it asked of them. */
const breaker = new CircuitBreaker();

/** The backends that a model's requests may go to. */
export class Pool {
  readonly #source: FleetSource;
  readonly #modelId: string;

  constructor(source: FleetSource, modelId: string) {
    this.#source = source;
    this.#modelId = modelId;
  }

  /**
   * Where a request may go, the best first: backends whose circuit is open come last, so that they are asked only
   * where nobody else is left. Throws where nobody serves the model.
   */
  async routes(prefixKey: string, fingerprint?: string): Promise<Route[]> {
    const found = routesTo(await readFleet(this.#source), this.#modelId);
    const routes = found.filter(
      ({ model }) => fingerprint === undefined || model.fingerprint === fingerprint,
    );
    const candidates = routes.map((route) => {
      const { url, load } = route.backend;
      return { url, load, numInFlight: breaker.numInFlight(url), route };
    });
    const ordered = inOrder(candidates, prefixKey);
    const nowMs = Date.now();
    const isAllowed = ordered.map(({ url }) => breaker.allows(url, nowMs));
    return [
      ...ordered.filter((_, index) => isAllowed[index]),
      ...ordered.filter((_, index) => !isAllowed[index]),
    ].map(({ route }) => route);
  }

  /** A request goes there; what is returned tells that it is over. */
  begin(url: string): () => void {
    breaker.begin(url, Date.now());
    let isOver = false;
    return () => {
      if (!isOver) breaker.end(url);
      isOver = true;
    };
  }

  succeeded(url: string): void {
    breaker.succeeded(url);
  }

  /** What was known of it may be what misled the request. */
  failed(url: string, error: unknown): void {
    if (error instanceof TidarError && error.httpStatus < 500) return;
    forgetFleet();
    if (error instanceof Unreachable) breaker.failed(url, Date.now());
  }
}
