import type { ModelSession } from '../device/device.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { PlanChooser } from '../engine/plan-chooser.ts';

/** Prompt tokens that one pass takes: more at once would only need more memory. */
export const PREFILL_TOKENS = 256;

/** An engine for one text at a time, with all the memory there is and no kept prefixes. */
export function soloEngine(session: ModelSession, chooser: PlanChooser = FIXED_PLANS): Engine {
  return new Engine(session, {
    chooser,
    maxCacheBytes: Infinity,
    prefixCacheBytes: 0,
    prefillTokens: PREFILL_TOKENS,
    sharedPrefillTokens: PREFILL_TOKENS,
  });
}
