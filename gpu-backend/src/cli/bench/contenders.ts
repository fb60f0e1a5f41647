import type { Decoder, PlanName } from '../../decode/decoder.ts';
import { measureDevice, plannedChooser } from '../../decode/planned-engine.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { Engine } from '../../engine/engine.ts';
import { FIXED_PLANS } from '../../engine/plan-chooser.ts';
import type { PlanChooser } from '../../engine/plan-chooser.ts';
import { AcceptanceTable } from '../../engine/planner/acceptance-table.ts';
import { LatencyModel } from '../../engine/planner/latency.ts';
import type { LatencyPoint } from '../../engine/planner/latency.ts';
import type { TimedSession } from './sessions.ts';
import type { Measured } from './subject.ts';

export const SINGLE_ROW = 'ar, single row';
export const SAME_LAW = 'ar, same law';

/** A decoder with an engine of its own. */
export interface EngineContender {
  readonly name: string;
  readonly decoder: Decoder;
  readonly engine: Engine;
  readonly timed: TimedSession;
  /** Planning and learning. */
  readonly chooser: TimedChooser;
}

/** Passes until the planner has seen enough of a machine and a text that it no longer learns at every step. */
export const PLANNER_WARM_UP_PASSES = 300;
/** Of the time limit, at most. */
export const WARM_UP_SHARE = 0.1;

/** Tells what planning costs. */
export class TimedChooser implements PlanChooser {
  milliseconds = 0;
  readonly #inner: PlanChooser;

  constructor(inner: PlanChooser) {
    this.#inner = inner;
  }

  choose(...args: Parameters<PlanChooser['choose']>): ReturnType<PlanChooser['choose']> {
    const startedAt = performance.now();
    const plans = this.#inner.choose(...args);
    this.milliseconds += performance.now() - startedAt;
    return plans;
  }

  observe(...args: Parameters<PlanChooser['observe']>): void {
    const startedAt = performance.now();
    this.#inner.observe(...args);
    this.milliseconds += performance.now() - startedAt;
  }
}

export function tidar(plan: PlanName, draftLength: number): Decoder {
  return { type: 'tidar', plan, draftLength, beta: 1 };
}

export function fixedContender(
  name: string,
  { session, timed }: Measured,
  decoder: Decoder,
): EngineContender {
  const chooser = new TimedChooser(FIXED_PLANS);
  return { name, decoder, timed, chooser, engine: soloEngine(session, chooser) };
}

/** Plans by a planner that knows the device's latencies and learns acceptance as it goes. */
export function autoContender(
  { session, timed }: Measured,
  points: readonly LatencyPoint[],
  draftLength: number,
): EngineContender {
  const knowledge = { latency: new LatencyModel(points), acceptance: new AcceptanceTable() };
  const chooser = new TimedChooser(plannedChooser(session, knowledge, draftLength));
  const engine = soloEngine(session, chooser);
  return { name: 'auto', decoder: tidar('auto', draftLength), timed, chooser, engine };
}

export function plannerPoints({ session }: Measured): Promise<LatencyPoint[]> {
  return measureDevice(session);
}

/** Everything that decodes the same prompts in turns: `draftLengths` of the dense plan, the last one of the others. */
export async function decodeContenders(
  law: Measured,
  singleRow: Measured,
  draftLengths: readonly number[],
): Promise<EngineContender[]> {
  const longest = draftLengths.at(-1) ?? 16;
  const named = (['sparse', 'branches', 'two-pass'] as const).map((plan) =>
    fixedContender(`${plan} ${longest}`, law, tidar(plan, longest)),
  );
  return [
    fixedContender(SINGLE_ROW, singleRow, { type: 'ar' }),
    fixedContender(SAME_LAW, law, { type: 'ar' }),
    ...draftLengths.map((length) => fixedContender(`dense ${length}`, law, tidar('dense', length))),
    ...named,
    autoContender(law, await plannerPoints(law), longest),
  ];
}
