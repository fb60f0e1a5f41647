import { totalmem } from 'node:os';
import { PREFILL_TOKENS } from '../decode/solo-engine.ts';
import type { ModelSession } from '../device/device.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { EngineWorkerData } from './engine-messages.ts';

/** Where others are decoded in a pass, a prompt's part makes them wait, and makes attention's padding wider. */
const SHARED_PREFILL_TOKENS = 64;
/** Of the machine's memory, where nothing else is said. */
const CACHE_SHARE = 0.25;

/** The engine as a server runs it. */
export async function createEngine(
  session: ModelSession,
  limits: EngineWorkerData,
): Promise<{ engine: Engine; notes: string[] }> {
  const { prefillChunkTokens = PREFILL_TOKENS } = limits;
  const engine = new Engine(session, {
    chooser: FIXED_PLANS,
    maxCacheBytes: limits.maxCacheBytes ?? Math.floor(CACHE_SHARE * totalmem()),
    prefixCacheBytes: limits.prefixCacheBytes,
    prefillTokens: prefillChunkTokens,
    sharedPrefillTokens: Math.min(prefillChunkTokens, limits.prefillChunkTokens ?? SHARED_PREFILL_TOKENS),
  });
  return { engine, notes: [] };
}
