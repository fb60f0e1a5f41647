import { NAMED_PLANS } from './named-plans.ts';
import { latencyOf } from './slot-curve.ts';
import type { SlotCurve } from './slot-curve.ts';
import { Planner } from './planner.ts';
import type { RecordedBlock } from './recording.ts';
import { namedPolicy, PlannerPolicy } from './simulated-policies.ts';
import { simulate } from './simulation.ts';
import type { SimulatedText, SimulationResult } from './simulation.ts';

/** How drafts fare in made-up texts. */
export interface AcceptanceProcess {
  readonly seed: number;
  /** Share of the text's stretches in which drafts fare well. */
  readonly easyShare: number;
  readonly easyAcceptance: number;
  readonly hardAcceptance: number;
  /** Share of drafts, in any stretch, that are a toss-up; the others are as the stretch is. */
  readonly unsureShare: number;
  /** Whether margins tell the unsure drafts apart. */
  readonly tellsMargins: boolean;
  readonly secondBest: number;
}

export const NOTHING_ACCEPTED: AcceptanceProcess = {
  seed: 1,
  easyShare: 0,
  easyAcceptance: 0,
  hardAcceptance: 0,
  unsureShare: 0,
  tellsMargins: false,
  secondBest: 0,
};
export const EVERYTHING_ACCEPTED: AcceptanceProcess = {
  ...NOTHING_ACCEPTED,
  easyShare: 1,
  easyAcceptance: 1,
  hardAcceptance: 1,
};

const STRETCH_TOKENS = 24;
const UNSURE_ACCEPTANCE = 0.4;

/** A text of which every block is drawn once, so that all policies meet the same. */
export function madeUpText(
  process: AcceptanceProcess,
  numTokens: number,
  index: number,
  maxDrafts: number,
): SimulatedText {
  const { seed } = process;
  const block = (known: number): RecordedBlock => {
    const isEasy = uniform(seed, index, Math.floor(known / STRETCH_TOKENS), 1) < process.easyShare;
    const margins: number[] = [];
    const hits: number[] = [];
    for (let draft = 0; draft < maxDrafts; draft++) {
      const at = known * 64 + draft;
      const isUnsure = uniform(seed, index, at, 2) < process.unsureShare;
      const sure = isEasy ? process.easyAcceptance : process.hardAcceptance;
      const isHit = uniform(seed, index, at, 3) < (isUnsure ? Math.min(sure, UNSURE_ACCEPTANCE) : sure);
      const isSecond = uniform(seed, index, at, 4) < process.secondBest;
      hits.push(isHit ? 1 : isSecond ? 2 : 0);
      margins.push(marginOf(process.tellsMargins && isUnsure, uniform(seed, index, at, 5)));
    }
    return { margins, hits, end: -1 };
  };
  return { numTokens, block };
}

function marginOf(isUnsure: boolean, draw: number): number {
  return isUnsure ? draw : 3 + 9 * draw;
}

/** A uniform number from 0 to 1, a function of its arguments (splitmix32, three rounds). */
function uniform(...keys: number[]): number {
  let hash = 0x9e3779b9;
  for (const key of keys) {
    hash = Math.imul(hash ^ (key + 0x7f4a7c15), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}

export const FLAT_CURVE: SlotCurve = [
  [1, 1],
  [10_000, 1.0001],
];

export interface Trial {
  readonly texts: readonly SimulatedText[];
  readonly curve: SlotCurve;
  readonly numSequences: number;
  readonly maxDraftRows: number;
}

export function runAuto(trial: Trial, planner = plannerOf(trial)): SimulationResult {
  return simulate(trial.texts, new PlannerPolicy(planner), optionsOf(trial, trial.maxDraftRows));
}

export function plannerOf({ curve, maxDraftRows }: Trial): Planner {
  return new Planner(latencyOf(curve), { maxDraftRows });
}

export function runAr(trial: Trial): SimulationResult {
  return simulate(trial.texts, namedPolicy('ar', 1), optionsOf(trial, 1));
}

/** The named plan that is fastest in hindsight, at lengths up to the planner's own. */
export function runBestNamed(trial: Trial): { name: string; result: SimulationResult } {
  const lengths = [2, 4, 8, 16].filter((length) => length <= trial.maxDraftRows);
  const runs = NAMED_PLANS.flatMap((name) =>
    (name === 'ar' ? [1] : lengths).map((length) => {
      const result = simulate(trial.texts, namedPolicy(name, length), optionsOf(trial, length));
      return { name: `${name} ${length}`, result };
    }),
  );
  return runs.reduce((best, run) => (run.result.tokensPerSecond > best.result.tokensPerSecond ? run : best));
}

function optionsOf(trial: Trial, maxMaskTokens: number): Parameters<typeof simulate>[2] {
  const latency = latencyOf(trial.curve);
  return {
    numSequences: trial.numSequences,
    maxMaskTokens,
    milliseconds: (numRows, numSequences) => latency.milliseconds(numRows, numSequences, 128),
  };
}
