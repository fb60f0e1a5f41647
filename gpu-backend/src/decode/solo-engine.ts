import type { ModelSession } from '../device/device.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { PlanChooser } from '../engine/plan-chooser.ts';
import { modelDrafter } from './draft-model.ts';

/** Prompt tokens that one pass takes: more at once would only need more memory. */
export const PREFILL_TOKENS = 256;

const ALL_MEMORY = {
  maxCacheBytes: Infinity,
  prefixCacheBytes: 0,
  prefillTokens: PREFILL_TOKENS,
  sharedPrefillTokens: PREFILL_TOKENS,
};

/**
 * An engine for one text at a time, with all the memory there is and no kept prefixes. `draft`: the draft model that
 * `speculative` texts have; the caller disposes of both sessions.
 */
export function soloEngine(
  session: ModelSession,
  chooser: PlanChooser = FIXED_PLANS,
  draft?: ModelSession,
): Engine {
  const drafter = draft && modelDrafter(draft, session.config.vocabSize, ALL_MEMORY);
  return new Engine(session, { ...ALL_MEMORY, chooser, drafter });
}
