import { TidarError } from '@tidar/shared/errors.ts';
import type { TraceContext } from '@tidar/shared/trace-context.ts';
import type { EdgeConfig, EnvName } from './config.ts';
import { parseEdgeConfig } from './config.ts';
import type { Directory } from './directory/directory.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { Ledger } from './ledger/ledger.ts';
import { type Log, logWith } from './log.ts';

export type { EdgeConfig } from './config.ts';

/** What wrangler.toml and the start-up give the Worker. */
export interface Bindings extends Record<EnvName, string | undefined> {
  LEDGER: DurableObjectNamespace<Ledger>;
  DIRECTORY: DurableObjectNamespace<Directory>;
  FLEET: DurableObjectNamespace<Fleet>;
  /** The built pages, by their paths. */
  PAGES?: Fetcher;
  /** Approximate and for each location: it keeps floods off, it is no limit. Absent: nothing is kept off. */
  FLOOD_SHIELD?: RateLimit;
  /** A data point for each bill. Absent: none is sent. */
  USAGE_EVENTS?: AnalyticsEngineDataset;
}

export interface AppEnv {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    trace: TraceContext;
    /** By `performance.now()`. */
    receivedAt: number;
    /** Each line has the request's ids. */
    log: Log;
    config: EdgeConfig;
    rateLimit?: Record<string, string>;
  };
}

/** A Worker and each Durable Object have bindings of their own. */
const parsed = new WeakMap<Bindings, EdgeConfig>();

/** The configuration, parsed once; a bad one is one fatal line in the log and refuses every request. */
export function edgeConfig(bindings: Bindings): EdgeConfig {
  const known = parsed.get(bindings);
  if (known !== undefined) return known;
  const config = parsedConfig(bindings);
  parsed.set(bindings, config);
  return config;
}

function parsedConfig(bindings: Bindings): EdgeConfig {
  try {
    return parseEdgeConfig(bindings);
  } catch (error) {
    const problems = error instanceof Error ? error.message : String(error);
    logWith({})('error', 'bad_environment', { problems });
    throw new TidarError('internal', 'The edge is misconfigured: its log says how.', { internal: problems });
  }
}
