import type { LatencyModel } from './latency.ts';
import type { DraftValues } from './sequence-odds.ts';
import { Solution } from './value-solver.ts';
import type { Surroundings, ValueSolver } from './value-solver.ts';

/** Texts between two of these are served by a mixture of their values. */
const SHIFTS = [-11, -7, -4.5, -2.5, -1.2, 0, 1.2];
const FIRST_SWEEPS = 20;
/** A trial's guess at the others' rows, by the best one's; each is given some sweeps to show its rate. */
const TRIALS = [3, 1 / 3, 1.6, 1 / 1.6];
const SWEEPS_PER_TRIAL = 7;
const NEIGHBOUR_TRIALS = 2;
const FIRST_TRIALS = 6;
/** Steps between sweeps, until so many steps: at first there is much to learn, later a sweep should cost nothing. */
const REFRESH_PACE = [
  { untilStep: 256, every: 4 },
  { untilStep: 1024, every: 32 },
  { untilStep: Infinity, every: 64 },
];

/**
 * What drafts are worth depends on what a row costs, and that on the rows of the others, who ask the same. Such a game
 * may have several ends, not all good: so other guesses at the others' rows are tried, and the best rate is kept.
 */
class Entry {
  readonly best: Solution;
  readonly #trial: Solution;
  /** Sweeps still to be made with the next steps; after them, one now and then follows statistics and latencies. */
  numPendingSweeps = 0;
  /** Whether a plan was made with it since it was last swept. */
  isUsed = false;
  #numCalls = 0;
  #numTrialSweeps = 0;

  constructor(maxDrafts: number, rate: number) {
    this.best = new Solution(maxDrafts, rate);
    this.#trial = new Solution(maxDrafts, rate);
  }

  /** The best is swept every time, the trial every second time. */
  sweep(solver: ValueSolver, around: Surroundings): void {
    this.isUsed = false;
    this.numPendingSweeps = Math.max(0, this.numPendingSweeps - 1);
    solver.sweep(this.best, around);
    const isSettled = this.numPendingSweeps === 0 && this.#numCalls++ % 2 === 1;
    if (around.numSequences === 1 || isSettled) return;
    const turn = this.#numTrialSweeps++ % SWEEPS_PER_TRIAL;
    if (turn === 0) {
      const trial = Math.floor(this.#numTrialSweeps / SWEEPS_PER_TRIAL) % TRIALS.length;
      this.#trial.copy(this.best);
      this.#trial.othersRows = Math.max(1, this.best.othersRows * (TRIALS[trial] ?? 1));
    }
    solver.sweep(this.#trial, around);
    if (turn === SWEEPS_PER_TRIAL - 1 && this.#trial.rate > this.best.rate) this.best.copy(this.#trial);
  }
}

/** Solutions for sizes of batches and kinds of texts, made when first needed and kept up to date by a sweep now and then. */
export class ValueTables {
  readonly #latency: LatencyModel;
  readonly #solver: ValueSolver;
  readonly #maxDrafts: number;
  readonly #bySize = new Map<number, (Entry | undefined)[]>(); // [shift]
  #numSteps = 0;
  #turn = 0;

  constructor(latency: LatencyModel, solver: ValueSolver, maxDrafts: number) {
    this.#latency = latency;
    this.#solver = solver;
    this.#maxDrafts = maxDrafts;
  }

  /** Fills `next` with what drafts are worth to such a text; returns the batch's rate if all its texts were such. */
  read(numSequences: number, numContextTokens: number, shift: number, next: DraftValues): number {
    const size = sizeOf(numSequences);
    const clipped = Math.min(SHIFTS.at(-1) ?? 0, Math.max(SHIFTS[0] ?? 0, shift));
    let lower = 0;
    while (lower < SHIFTS.length - 2 && (SHIFTS[lower + 1] ?? 0) <= clipped) lower++;
    const [from = 0, to = 1] = [SHIFTS[lower], SHIFTS[lower + 1]];
    const share = (clipped - from) / (to - from);
    const a = this.#solution(size, lower, numContextTokens);
    const b = this.#solution(size, lower + 1, numContextTokens);
    next.mix(a.next, b.next, share);
    // Tokens per millisecond of a batch whose size is not quite that of the table.
    return (a.rate + share * (b.rate - a.rate)) * this.#sizeFactor(size, numSequences, numContextTokens);
  }

  /** Called with every step: sweeps a solution that is new, or now and then one, as statistics and latencies change. */
  refresh(numSequences: number, numContextTokens: number): void {
    const size = sizeOf(numSequences);
    const entries = this.#bySize.get(size);
    if (entries === undefined) return;
    let at = entries.findIndex((entry) => entry !== undefined && entry.numPendingSweeps > 0);
    if (at < 0) {
      const every = REFRESH_PACE.find(({ untilStep }) => this.#numSteps < untilStep)?.every ?? 1;
      if (++this.#numSteps % every !== 0) return;
      at = this.#nextUsed(entries);
    }
    entries[at]?.sweep(this.#solver, this.#around(size, at, numContextTokens));
  }

  #nextUsed(entries: readonly (Entry | undefined)[]): number {
    for (let turn = 0; turn < SHIFTS.length; turn++) {
      this.#turn = (this.#turn + 1) % SHIFTS.length;
      if (entries[this.#turn]?.isUsed === true) return this.#turn;
    }
    return -1;
  }

  /** Solved from nothing only once: others begin as their nearest neighbour and are swept with the next steps. */
  #solution(size: number, at: number, numContextTokens: number): Solution {
    const entries = this.#bySize.get(size) ?? SHIFTS.map(() => undefined);
    this.#bySize.set(size, entries);
    const known = entries[at];
    if (known !== undefined) {
      known.isUsed = true;
      return known.best;
    }
    const around = this.#around(size, at, numContextTokens);
    const entry = new Entry(this.#maxDrafts, size / around.milliseconds(size));
    const neighbour = entries[at - 1] ?? entries[at + 1] ?? this.#nearestSize(size)?.[at];
    entries[at] = entry;
    if (neighbour === undefined) {
      for (let sweep = 0; sweep < FIRST_SWEEPS; sweep++) this.#solver.sweep(entry.best, around);
    } else entry.best.copy(neighbour.best);
    // One text alone has no others whose rows must be guessed.
    const numTrials = size === 1 ? 1 : neighbour === undefined ? FIRST_TRIALS : NEIGHBOUR_TRIALS;
    entry.numPendingSweeps = numTrials * SWEEPS_PER_TRIAL;
    return entry.best;
  }

  #nearestSize(size: number): readonly (Entry | undefined)[] | undefined {
    const sizes = [...this.#bySize.keys()].filter((known) => known !== size);
    const nearest = sizes.sort((a, b) => Math.abs(Math.log(a / size)) - Math.abs(Math.log(b / size)))[0];
    return nearest === undefined ? undefined : this.#bySize.get(nearest);
  }

  #around(size: number, at: number, numContextTokens: number): Surroundings {
    return {
      numSequences: size,
      shift: SHIFTS[at] ?? 0,
      milliseconds: (numRows) => this.#latency.milliseconds(Math.max(2, numRows), size, numContextTokens),
    };
  }

  #sizeFactor(size: number, numSequences: number, numContextTokens: number): number {
    if (size === numSequences) return 1;
    const rate = (count: number): number =>
      count / this.#latency.milliseconds(Math.max(2, count), count, numContextTokens);
    return rate(numSequences) / rate(size);
  }
}

/** Sizes with a table of their own: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 … */
function sizeOf(numSequences: number): number {
  let size = 1;
  while (size < numSequences) size = size < 4 ? size + 1 : isPowerOfTwo(size) ? size * 1.5 : (size / 3) * 4;
  return size;
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size));
}
