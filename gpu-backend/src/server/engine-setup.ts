import { totalmem } from 'node:os';
import { modelDrafter } from '../decode/draft-model.ts';
import { deviceKey, openPlanner } from '../decode/planner-file.ts';
import { PREFILL_TOKENS } from '../decode/solo-engine.ts';
import type { ModelSession } from '../device/device.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { PlanChooser } from '../engine/plan-chooser.ts';
import type { EngineWorkerData } from './engine-messages.ts';

/** Where others are decoded in a pass, a prompt's part makes them wait, and makes attention's padding wider. */
const SHARED_PREFILL_TOKENS = 64;
/** Of the machine's memory, where nothing else is said. */
const CACHE_SHARE = 0.25;

export interface ServingEngine {
  readonly engine: Engine;
  /** For the operator. */
  readonly notes: readonly string[];
  /** Frees the engine and keeps what its planner learned. */
  readonly close: () => void;
}

/** The engine as a server runs it. */
export async function createEngine(
  session: ModelSession,
  data: EngineWorkerData,
  draft?: ModelSession,
): Promise<ServingEngine> {
  const { chooser, notes, save } = await openChooser(session, data);
  // The same columns fit in either model's caches.
  const share = session.numBytesPerColumn / (session.numBytesPerColumn + (draft?.numBytesPerColumn ?? 0));
  const limits = (part: number) => limitsOf(data, part, session.gpu?.cacheBytes);
  const drafter = draft && modelDrafter(draft, session.config.vocabSize, limits(1 - share));
  const engine = new Engine(session, { ...limits(share), chooser, drafter });
  const close = (): void => {
    engine.dispose();
    save();
  };
  return { engine, notes, close };
}

/** What an engine may use that has this share of the memory: of the GPU's where caches lie there. */
function limitsOf(data: EngineWorkerData, share: number, usualBytes = CACHE_SHARE * totalmem()) {
  const { maxCacheBytes = usualBytes, prefillChunkTokens, prefixCacheBytes } = data;
  const prefillTokens = prefillChunkTokens ?? PREFILL_TOKENS;
  return {
    maxCacheBytes: Math.floor(share * maxCacheBytes),
    prefixCacheBytes: Math.floor(share * prefixCacheBytes),
    prefillTokens,
    sharedPrefillTokens: Math.min(prefillTokens, prefillChunkTokens ?? SHARED_PREFILL_TOKENS),
  };
}

interface OpenedChooser {
  readonly chooser: PlanChooser;
  readonly notes: readonly string[];
  readonly save: () => unknown;
}

/** A model without a diffusion mode needs no planner. */
async function openChooser(session: ModelSession, data: EngineWorkerData): Promise<OpenedChooser> {
  const { tidar } = session.config;
  if (tidar === undefined) return { chooser: FIXED_PLANS, notes: [], save: () => undefined };
  const { folder, maxConcurrent: maxSequences } = data;
  const key = deviceKey({ ...data, device: session.gpu ?? data.device });
  return openPlanner(session, { folder, key, maxDraftLength: tidar.blockSize, maxSequences });
}
