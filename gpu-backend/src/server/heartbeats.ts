import {
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_PATH,
  type Heartbeat,
  signHeartbeat,
} from '@tidar/shared/heartbeat.ts';
import { type ModelInfo, PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import type { Backend } from './backend.ts';

const TIMEOUT_MS = 2000;

/**
 * Tells an edge every two seconds that this backend is there, and at once when it begins to drain. An edge that cannot
 * be reached is tried again; the log says it once an outage.
 */
export class Heartbeats {
  readonly #backend: Backend;
  readonly #url: string;
  readonly #secret: string;
  #timer: NodeJS.Timeout | undefined;
  #isLost = false;
  #isStopped = false;

  constructor(backend: Backend, edge: string) {
    const [secret] = backend.config.leaseSecrets;
    if (secret === undefined) throw new TypeError('there is no secret to sign heartbeats with');
    this.#backend = backend;
    this.#url = edge + HEARTBEAT_PATH;
    this.#secret = secret;
  }

  /** Sends one now, and the next ones in their time; resolves when it was sent, or could not be. */
  beat(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#isStopped) return Promise.resolve();
    this.#timer = setTimeout(() => void this.beat(), HEARTBEAT_INTERVAL_MS);
    return this.#send();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #send(): Promise<void> {
    try {
      const heartbeat = this.#heartbeat();
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await signHeartbeat(heartbeat, this.#secret)}`,
        },
        body: JSON.stringify(heartbeat),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body?.cancel();
      this.#tell(response.ok ? undefined : `status ${response.status}`);
    } catch (error) {
      this.#tell(String(error));
    }
  }

  #heartbeat(): Heartbeat {
    const { engine, config, generations, instance, metrics } = this.#backend;
    const { curve } = metrics.slotTimes;
    return {
      address: instance,
      protocol_version: PROTOCOL_VERSION,
      models: modelsOf(this.#backend),
      load: {
        running: engine.numRunning,
        queued: engine.numWaiting,
        max_concurrent: config.maxConcurrent,
      },
      // Before the first pass nothing was measured.
      ...(curve.length === 0 ? {} : { slot_curve: curve }),
      draining: generations.isDraining,
      sent_at_ms: Date.now(),
    };
  }

  #tell(failure: string | undefined): void {
    const isLost = failure !== undefined;
    if (isLost !== this.#isLost)
      this.#backend.log(isLost ? 'edge_lost' : 'edge_found', { internal: failure });
    this.#isLost = isLost;
  }
}

/** None while the model is being loaded, at first or after a crash. */
function modelsOf(backend: Backend): ModelInfo[] {
  return backend.engine.runtime === undefined ? [] : [backend.model];
}
