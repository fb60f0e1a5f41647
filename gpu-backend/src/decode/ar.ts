import { ar } from '../engine/plan.ts';
import type { Policy } from './policy.ts';

/** One token a forward pass. */
export function arPolicy(): Policy {
  const plan = ar();
  return () => plan;
}
