import { counts } from '../decode/generate.ts';
import type { Active } from '../engine/active.ts';
import type { Turn } from '../engine/engine.ts';
import type { StepResult } from '../engine/step-result.ts';
import type { PassStats } from './engine-messages.ts';

/** The numbers of one turn. */
export function passOf(
  { active, isPrefill, milliseconds, numSequences, drafting }: Turn,
  result: StepResult,
): PassStats {
  const pass = {
    ...counts(result, isPrefill),
    numPasses: 1,
    milliseconds,
    numSequences,
    plan: planName(active),
    ...(result.trace && { traces: [result.trace] }),
  };
  if (drafting === undefined) return pass;
  return { ...pass, drafting: { numPasses: drafting.numPasses, milliseconds: drafting.milliseconds } };
}

/** A pass and those before it that decided nothing, as one. */
export function withSilent(silent: PassStats | undefined, pass: PassStats): PassStats {
  if (silent === undefined) return pass;
  return {
    ...pass,
    numPasses: silent.numPasses + pass.numPasses,
    numRows: silent.numRows + pass.numRows,
    numDrafted: silent.numDrafted + pass.numDrafted,
    numAccepted: silent.numAccepted + pass.numAccepted,
    milliseconds: silent.milliseconds + pass.milliseconds,
    ...(pass.traces && { traces: [...(silent.traces ?? []), ...pass.traces] }),
  };
}

function planName({ rule }: Active): string {
  return rule.type === 'auto' ? 'auto' : rule.name;
}
