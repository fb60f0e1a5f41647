import { DurableObject } from 'cloudflare:workers';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import type { Heartbeat } from '@tidar/shared/heartbeat.ts';
import type { Bindings } from '../env.ts';
import type { Refused } from '../ledger/types.ts';
import { migrate } from '../migrate.ts';
import {
  allHeard,
  type BackendWord,
  type HeardBackend,
  liveBackends,
  MIGRATIONS,
  receiveHeartbeat,
} from './heartbeats.ts';

/** Which backends live, and how loaded they are, by what their heartbeats say. */
export class Fleet extends DurableObject<Bindings> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => {
      ctx.storage.transactionSync(() => migrate(this.#sql, MIGRATIONS));
    });
  }

  /** Takes a heartbeat whose signature was checked; one that was sent before is refused. */
  beat(heartbeat: Heartbeat): Refused | { isNew: true } {
    const isNew = this.ctx.storage.transactionSync(() => receiveHeartbeat(this.#sql, heartbeat, Date.now()));
    if (isNew) return { isNew };
    return errorBody(
      new TidarError('conflict', 'This heartbeat is no newer than the last one.', { retryable: true }),
    );
  }

  backends(): BackendWord[] {
    return liveBackends(this.#sql, Date.now());
  }

  /** Every backend that was heard of in the last minutes, silent ones too, with all that it said. */
  heard(): HeardBackend[] {
    return allHeard(this.#sql, Date.now());
  }
}
