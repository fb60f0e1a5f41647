import { execFileSync } from 'node:child_process';

const EVERY_MS = 1_000;
const NUM_PARTS = 10;
/** What a garbage collector leaves lying about. */
const SLACK_MIB = 32;
const MOST_GROWTH = 1.25;

export interface MemoryReport {
  name: string;
  /** The median of each tenth of the run. */
  tenthsMib: number[];
  isFlat: boolean;
}

/** The resident memory of some processes over a run. */
export class MemoryWatch {
  readonly #processes: ReadonlyMap<string, number>;
  readonly #samples: ReadonlyMap<string, number[]>;
  readonly #timer: NodeJS.Timeout;

  constructor(processes: ReadonlyMap<string, number>) {
    this.#processes = processes;
    this.#samples = new Map([...processes.keys()].map((name) => [name, []]));
    this.#timer = setInterval(() => this.#sample(), EVERY_MS);
    this.#timer.unref();
  }

  /** Flat is what the last three tenths are not far above the third to the fifth, when all has warmed up. */
  stop(): MemoryReport[] {
    clearInterval(this.#timer);
    this.#sample();
    return [...this.#samples].map(([name, samples]) => {
      const tenthsMib = Array.from({ length: NUM_PARTS }, (_, part) => median(partOf(samples, part)));
      const [early, late] = [median(tenthsMib.slice(2, 5)), median(tenthsMib.slice(-3))];
      return { name, tenthsMib, isFlat: late <= early * MOST_GROWTH + SLACK_MIB };
    });
  }

  #sample(): void {
    for (const [name, processId] of this.#processes) this.#samples.get(name)?.push(residentMib(processId));
  }
}

/** At least one sample, so that a short run has all its parts. */
function partOf(samples: readonly number[], part: number): readonly number[] {
  const [from, to] = [part, part + 1].map((edge) => Math.floor((edge * samples.length) / NUM_PARTS));
  return samples.slice(from, Math.max((from ?? 0) + 1, to ?? 0));
}

function residentMib(processId: number): number {
  try {
    const text = execFileSync('ps', ['-o', 'rss=', '-p', String(processId)], { encoding: 'utf8' });
    return Number(text.trim()) / 1024;
  } catch {
    return 0;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
