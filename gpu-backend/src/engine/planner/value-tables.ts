import type { LatencyModel } from './latency.ts';
import { DraftValues } from './sequence-odds.ts';
import { Solution, ValueSolver } from './value-solver.ts';
import type { Surroundings } from './value-solver.ts';

/** Texts between two of these are served by a mixture of their values. */
const SHIFTS = [-6, -4, -2.5, -1.2, 0, 1.2];
const FIRST_SWEEPS = 24;
const SWEEPS_FROM_NEIGHBOUR = 10;
const REFRESH_EVERY = 32;

type Entry = Solution | undefined;

/** Solutions for sizes of batches and kinds of texts, made when first needed and kept up to date by a sweep now and then. */
export class ValueTables {
  readonly #latency: LatencyModel;
  readonly #solver: ValueSolver;
  readonly #maxDrafts: number;
  readonly #bySize = new Map<number, Entry[]>(); // [shift]
  #numSteps = 0;

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
      if (++this.#numSteps % REFRESH_EVERY !== 0) return;
      const known = SHIFTS.map((_, index) => index).filter((index) => entries[index] !== undefined);
      at = known[(this.#numSteps / REFRESH_EVERY) % known.length] ?? 0;
    }
    const solution = entries[at];
    if (solution === undefined) return;
    solution.numPendingSweeps = Math.max(0, solution.numPendingSweeps - 1);
    this.#solver.sweep(solution, this.#around(size, at, numContextTokens));
  }

  /** Solved from nothing only once: others begin as their nearest neighbour and are swept with the next steps. */
  #solution(size: number, at: number, numContextTokens: number): Solution {
    const entries = this.#bySize.get(size) ?? SHIFTS.map((): Entry => undefined);
    this.#bySize.set(size, entries);
    const known = entries[at];
    if (known !== undefined) return known;
    const around = this.#around(size, at, numContextTokens);
    const solution = new Solution(this.#maxDrafts, size / around.milliseconds(size));
    entries[at] = solution;
    const neighbour = entries[at - 1] ?? entries[at + 1] ?? this.#nearestSize(size)?.[at];
    if (neighbour === undefined) {
      for (let sweep = 0; sweep < FIRST_SWEEPS; sweep++) this.#solver.sweep(solution, around);
    } else {
      solution.next.mix(neighbour.next, neighbour.next, 0);
      solution.rate = neighbour.rate;
      solution.meanRows = neighbour.meanRows;
      solution.numPendingSweeps = SWEEPS_FROM_NEIGHBOUR;
    }
    return solution;
  }

  #nearestSize(size: number): readonly Entry[] | undefined {
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
