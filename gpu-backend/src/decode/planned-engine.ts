import type { ModelSession } from '../device/device.ts';
import { PlannedChooser } from '../engine/plan-chooser.ts';
import { AcceptanceTable } from '../engine/planner/acceptance-table.ts';
import { LatencyModel } from '../engine/planner/latency.ts';
import type { LatencyPoint } from '../engine/planner/latency.ts';
import { measureLatency } from '../engine/planner/measure-latency.ts';
import { Planner } from '../engine/planner/planner.ts';
import { ShapeTimer } from '../engine/time-shape.ts';

/** What was measured of a model on a machine, and what its drafts came to: kept, so that a start need not measure. */
export interface PlannerKnowledge {
  readonly latency: LatencyModel;
  readonly acceptance: AcceptanceTable;
}

/** Rows of one pass that are measured: a dense plan of 16 has 272. */
const MAX_MEASURED_ROWS = 272;
const MEASURED_SEQUENCES = 8;
const BUDGET_MS = 1500;

/** Measures what passes cost on the device; costs a second or two. */
export async function measureDevice(session: ModelSession): Promise<LatencyPoint[]> {
  const timer = new ShapeTimer(session);
  try {
    return await measureLatency(timer.time, {
      maxRows: MAX_MEASURED_ROWS,
      maxSequences: MEASURED_SEQUENCES,
      maxContextTokens: Math.min(1024, session.config.maxPositions),
      budgetMs: BUDGET_MS,
    });
  } finally {
    timer.dispose();
  }
}

export function plannedChooser(
  session: ModelSession,
  knowledge: PlannerKnowledge,
  maxDraftLength: number,
): PlannedChooser {
  const { latency, acceptance } = knowledge;
  const planner = new Planner(latency, { maxDraftRows: maxDraftLength, acceptance });
  return new PlannedChooser(planner, session.config.maxPositions);
}

/** A planner's chooser for a session of which nothing is known yet. */
export async function measuredChooser(
  session: ModelSession,
  maxDraftLength: number,
): Promise<PlannedChooser> {
  const latency = new LatencyModel(await measureDevice(session));
  return plannedChooser(session, { latency, acceptance: new AcceptanceTable() }, maxDraftLength);
}
