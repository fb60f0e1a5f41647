import { execFileSync } from 'node:child_process';

const EVERY_MS = 1_000;
const MEBIBYTE = 1024;
/** Less than this is what a garbage collector leaves lying about. */
const SLACK_MIB = 48;

export interface MemoryReport {
  name: string;
  earlyMib: number;
  lateMib: number;
  isFlat: boolean;
}

/** The resident memory of some processes over a run. */
export class MemoryWatch {
  readonly #processes: ReadonlyMap<string, number>;
  readonly #samples = new Map<string, number[]>();
  readonly #timer: NodeJS.Timeout;

  constructor(processes: ReadonlyMap<string, number>) {
    this.#processes = processes;
    this.#timer = setInterval(() => this.sample(), EVERY_MS);
    this.#timer.unref();
  }

  sample(): void {
    for (const [name, processId] of this.#processes) {
      const samples = this.#samples.get(name) ?? [];
      samples.push(residentMib(processId));
      this.#samples.set(name, samples);
    }
  }

  /** Early: the second fifth of the run, when everything has warmed up; late: the last fifth. */
  stop(): MemoryReport[] {
    clearInterval(this.#timer);
    this.sample();
    return [...this.#samples].map(([name, samples]) => {
      const fifth = Math.max(1, Math.floor(samples.length / 5));
      const earlyMib = median(samples.slice(fifth, 2 * fifth + 1));
      const lateMib = median(samples.slice(-fifth));
      return { name, earlyMib, lateMib, isFlat: lateMib <= earlyMib * 1.15 + SLACK_MIB };
    });
  }
}

function residentMib(processId: number): number {
  try {
    const text = execFileSync('ps', ['-o', 'rss=', '-p', String(processId)], { encoding: 'utf8' });
    return Number(text.trim()) / MEBIBYTE;
  } catch {
    return 0;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
