import type { ModelSession } from '../device/device.ts';
import { PlannedChooser } from '../engine/plan-chooser.ts';
import { AcceptanceTable } from '../engine/planner/acceptance-table.ts';
import { LatencyModel } from '../engine/planner/latency.ts';
import type { LatencyPoint } from '../engine/planner/latency.ts';
import { measureLatency, shapesToMeasure } from '../engine/planner/measure-latency.ts';
import type { TimeShape } from '../engine/planner/measure-latency.ts';
import { Planner } from '../engine/planner/planner.ts';
import { ShapeTimer } from '../engine/time-shape.ts';

/** What was measured of a model on a machine, and what its drafts came to: kept, so that a start need not measure. */
export interface PlannerKnowledge {
  readonly latency: LatencyModel;
  readonly acceptance: AcceptanceTable;
}

/** Texts at once that a server's passes are measured with; more are extrapolated. */
export const MEASURED_SEQUENCES = 8;
/** Rows of one pass. For one text more never pay on a CPU; many texts have as many as a dense plan of 16. */
const ROWS_FOR_ONE = [16, 32, 64, 96];
const ROWS_FOR_MANY = [16, 32, 64, 96, 128, 192, 272];
/** What else the machine does only ever adds to a pass's time: the fastest of a few says what the pass costs. */
const NUM_TRIES = 3;
const BUDGET_FOR_ONE_MS = 350;
const BUDGET_FOR_MANY_MS = 1500;
const MAX_CONTEXT_TOKENS = 1024;
/** One round of a large model may take so many budgets: it is measured once, and some numbers it must have. */
const MAX_OVERRUN = 4;

/** Measures what passes cost on the device: a third of a second for one text, a second or two for a server. */
export async function measureDevice(
  session: ModelSession,
  maxSequences = MEASURED_SEQUENCES,
): Promise<LatencyPoint[]> {
  const timer = new ShapeTimer(session);
  const limits = {
    maxSequences,
    maxContextTokens: Math.min(MAX_CONTEXT_TOKENS, session.config.maxPositions),
  };
  const budgetMs = maxSequences === 1 ? BUDGET_FOR_ONE_MS : BUDGET_FOR_MANY_MS;
  const fastest: TimeShape = async (...shape) => {
    let least = Infinity;
    for (let run = 0; run < NUM_TRIES; run++) least = Math.min(least, await timer.time(...shape));
    return least;
  };
  try {
    const leastMs = await fastest(2, 1, limits.maxContextTokens);
    const maxRows = rowsToMeasure(limits, NUM_TRIES * leastMs, MAX_OVERRUN * budgetMs);
    return withoutBumps(await measureLatency(fastest, { ...limits, maxRows, budgetMs }));
  } finally {
    timer.dispose();
  }
}

/** The most rows whose round is done in time even where every row costs what the first two did. */
export function rowsToMeasure(
  limits: { readonly maxSequences: number; readonly maxContextTokens: number },
  leastMs: number,
  limitMs: number,
): number {
  const [least = 2, ...more] = limits.maxSequences === 1 ? ROWS_FOR_ONE : ROWS_FOR_MANY;
  const roundMs = (maxRows: number): number =>
    shapesToMeasure({ ...limits, maxRows }).reduce((ms, { numRows }) => ms + (leastMs * numRows) / 2, 0);
  return more.findLast((maxRows) => roundMs(maxRows) <= limitMs) ?? least;
}

/** A pass of more rows that took less time shows that the time of fewer was noise: a kept table would keep it. */
export function withoutBumps(points: readonly LatencyPoint[]): LatencyPoint[] {
  return points.map((point) => {
    const { numRows, numSequences, numContextTokens } = point;
    const atLeast = points.filter(
      (other) =>
        other.numRows >= numRows &&
        other.numSequences === numSequences &&
        other.numContextTokens === numContextTokens,
    );
    return { ...point, milliseconds: Math.min(...atLeast.map(({ milliseconds }) => milliseconds)) };
  });
}

export function plannedChooser(
  session: ModelSession,
  knowledge: PlannerKnowledge,
  maxDraftLength: number,
): PlannedChooser {
  const { latency, acceptance } = knowledge;
  const planner = new Planner(latency, { maxDraftRows: maxDraftLength, acceptance });
  warmUp(planner, session.config.maxPositions);
  return new PlannedChooser(planner, session.config.maxPositions);
}

const NUM_WARM_UP_PLANS = 10;

/** The first plans solve the planner's tables, a tenth of a second that no text should wait for. */
function warmUp(planner: Planner, maxPositions: number): void {
  const input = {
    drafts: [],
    statistics: planner.start(),
    numRemainingTokens: maxPositions,
    numPositions: maxPositions,
    numContextTokens: 0,
    endTokenIds: new Set<number>(),
  };
  for (let turn = 0; turn < NUM_WARM_UP_PLANS; turn++) planner.plan([input]);
}

/** A planner's chooser for a session of which nothing is known yet. */
export async function measuredChooser(
  session: ModelSession,
  maxDraftLength: number,
  maxSequences?: number,
): Promise<PlannedChooser> {
  const latency = new LatencyModel(await measureDevice(session, maxSequences));
  return plannedChooser(session, { latency, acceptance: new AcceptanceTable() }, maxDraftLength);
}
