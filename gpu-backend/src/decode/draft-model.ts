import type { ModelSession } from '../device/device.ts';
import type { Drafter } from '../engine/drafter.ts';
import { Engine } from '../engine/engine.ts';
import type { EngineOptions } from '../engine/engine.ts';
import { ModelDrafter } from '../engine/model-drafter.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';

/** A drafter over a draft model's session, for a model whose vocabulary has `vocabSize` ids. */
export function modelDrafter(
  draft: ModelSession,
  vocabSize: number,
  memory: Omit<EngineOptions, 'chooser' | 'drafter'>,
): Drafter {
  return new ModelDrafter(new Engine(draft, { ...memory, chooser: FIXED_PLANS }), vocabSize);
}
