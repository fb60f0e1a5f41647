import { Random } from '../chaos/random.ts';
import type { Findings, FuzzCase, Kind } from './case.ts';
import { bodies } from './kinds/bodies.ts';
import { cors } from './kinds/cors.ts';
import { framing, pipelines } from './kinds/framing.ts';
import { grammars } from './kinds/grammars.ts';
import { headers, repetitions } from './kinds/headers.ts';
import { heartbeats } from './kinds/heartbeats.ts';
import { keys } from './kinds/keys.ts';
import { leases, protocolBodies, requestRoutes } from './kinds/leases.ts';
import { lying } from './kinds/lying.ts';
import { queries, routes } from './kinds/routes.ts';
import { leaving, slow } from './kinds/slow.ts';
import { texts } from './kinds/texts.ts';
import type { MemoryReport } from './memory.ts';
import type { Surface } from './surface.ts';
import { FuzzWorld } from './world.ts';

export const KINDS: readonly Kind[] = [
  ...[bodies, texts, framing, pipelines, headers, repetitions, keys, routes, queries, cors],
  ...[heartbeats, leases, requestRoutes, protocolBodies, grammars, lying, slow, leaving],
];
const NUM_LANES = 10;
/** Who waits for a time limit costs nothing else. */
const NUM_SLOW_LANES = 48;
const CASE_LIMIT_MS = 90_000;
const SAY_EVERY = 1_000;

export interface FuzzOptions {
  seed: string;
  firstCase: number;
  numCases: number;
  print: (line: string) => void;
  signal: AbortSignal;
  /** Only of this kind; absent: of all. */
  kind?: string | undefined;
  /** Whether the cases run that wait for a time limit. */
  hasSlow: boolean;
}

export interface FuzzReport {
  numCases: number;
  numUnclear: number;
  numCrashed: number;
  byKind: Map<string, number>;
  /** What is wrong beside the answers: memory, requests without a bill. */
  problems: string[];
  memory: MemoryReport[];
}

/** The case of a seed and a number: nothing of it depends on those before. */
export function drawCase(
  seed: string,
  index: number,
  surface: Surface,
  only?: string,
): FuzzCase & { kind: string } {
  const random = new Random(`${seed}/${index}`);
  const kinds = KINDS.filter(({ name }) => only === undefined || name === only);
  let left = random.next() * kinds.reduce((total, { weight }) => total + weight, 0);
  for (const kind of kinds) {
    left -= kind.weight;
    if (left < 0) return { ...kind.draw(random, surface), kind: kind.name };
  }
  throw new Error('no kind was drawn');
}

/** Plays the cases of a seed against one world: its own, unless there is one. */
export async function runFuzz(options: FuzzOptions, given?: FuzzWorld): Promise<FuzzReport> {
  if (given !== undefined) return new Run(given, options).play();
  const world = await FuzzWorld.start();
  const aborted = new Promise<undefined>((resolve) => {
    options.signal.addEventListener('abort', () => resolve(undefined));
  });
  const run = new Run(world, options);
  try {
    // The run ends at once, and every process with it.
    return (await Promise.race([run.play(), aborted])) ?? run.report;
  } finally {
    await world.close();
  }
}

class Run {
  readonly #world: FuzzWorld;
  readonly #options: FuzzOptions;
  readonly report: FuzzReport = {
    ...{ numCases: 0, numUnclear: 0, numCrashed: 0, byKind: new Map(), problems: [], memory: [] },
  };
  #next: number;

  constructor(world: FuzzWorld, options: FuzzOptions) {
    this.#world = world;
    this.#options = options;
    this.#next = options.firstCase;
  }

  async play(): Promise<FuzzReport> {
    const slowOnes = new Set<Promise<void>>();
    const lane = async (): Promise<void> => {
      for (let index = this.#take(); index !== undefined; index = this.#take()) {
        const drawn = drawCase(this.#options.seed, index, this.#world.surface, this.#options.kind);
        if (drawn.isSlow !== true) await this.#playCase(index, drawn);
        else if (this.#options.hasSlow) await this.#playBeside(slowOnes, index, drawn);
      }
    };
    await Promise.all(Array.from({ length: NUM_LANES }, lane));
    await Promise.all(slowOnes);
    const unsettled = await this.#world.unsettled();
    this.report.problems.push(...unsettled, ...this.#world.troubles());
    this.report.memory = this.#world.memory.stop();
    return this.report;
  }

  #take(): number | undefined {
    const { firstCase, numCases, signal } = this.#options;
    if (signal.aborted || this.#next >= firstCase + numCases) return undefined;
    return this.#next++;
  }

  async #playBeside(
    slowOnes: Set<Promise<void>>,
    index: number,
    drawn: FuzzCase & { kind: string },
  ): Promise<void> {
    while (slowOnes.size >= NUM_SLOW_LANES) await Promise.race(slowOnes);
    const playing = this.#playCase(index, drawn).finally(() => slowOnes.delete(playing));
    slowOnes.add(playing);
  }

  async #playCase(index: number, drawn: FuzzCase & { kind: string }): Promise<void> {
    const { byKind } = this.report;
    const findings = await this.#findingsOf(drawn);
    const pulse = await this.#world.pulseOf(drawn.target);
    if (this.#options.signal.aborted) return;
    if (pulse !== undefined) findings.crashed.push(`the ${drawn.target} right after: ${pulse}`);
    this.report.numCases += 1;
    if (this.report.numCases % SAY_EVERY === 0) this.#options.print(`${this.report.numCases} cases so far`);
    byKind.set(drawn.kind, (byKind.get(drawn.kind) ?? 0) + 1);
    if (findings.unclear.length > 0) this.report.numUnclear += 1;
    if (findings.crashed.length > 0) this.report.numCrashed += 1;
    this.#tell(index, drawn, findings);
  }

  async #findingsOf(drawn: FuzzCase): Promise<Findings> {
    const { promise: late, resolve } = Promise.withResolvers<Findings>();
    const timer = setTimeout(
      () => resolve({ unclear: [], crashed: [`the case took over ${CASE_LIMIT_MS} ms`] }),
      CASE_LIMIT_MS,
    );
    try {
      return await Promise.race([drawn.play(this.#world), late]);
    } catch (error) {
      return {
        unclear: [],
        crashed: [`the case threw: ${String(error instanceof Error ? error.stack : error)}`],
      };
    } finally {
      clearTimeout(timer);
    }
  }

  #tell(index: number, { kind, title }: FuzzCase & { kind: string }, { unclear, crashed }: Findings): void {
    const { print, seed } = this.#options;
    if (unclear.length + crashed.length === 0) return;
    print(`case ${index}, ${kind}: ${title}`);
    for (const problem of unclear) print(`  unclear: ${problem}`);
    for (const problem of crashed) print(`  crashed: ${problem}`);
    const ofKind = this.#options.kind === undefined ? '' : ` --kind ${this.#options.kind}`;
    print(`  again: npm run fuzz -- --seed ${seed} --case ${index}${ofKind}`);
  }
}
