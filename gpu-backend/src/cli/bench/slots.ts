import { DEVICES, openModel } from '../../device/open.ts';
import type { CpuDevice } from '../../device/names.ts';
import { measureSampling } from '../../engine/sampling/benchmark.ts';
import type { SamplingCost } from '../../engine/sampling/benchmark.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import type { TimeShape } from '../../engine/planner/measure-latency.ts';
import { ShapeTimer } from '../../engine/time-shape.ts';
import type { Progress } from './command.ts';
import { autoContender, plannerPoints } from './contenders.ts';
import { median, medianInterval } from './interval.ts';
import type { Interval } from './interval.ts';
import { promptsOfRound } from './rounds.ts';
import { measured, subjectPrompts } from './subject.ts';
import type { Subject } from './subject.ts';
import { decodeSteadily } from './texts.ts';

export interface SlotOptions {
  readonly numThreads: number;
  readonly rows: readonly number[];
  readonly sequences: readonly number[];
  readonly contexts: readonly number[];
  readonly timeLimitMs: number;
  readonly onProgress?: Progress;
}

/** A shape of pass on every device, in turns. */
export interface SlotCost {
  readonly numRows: number;
  readonly numSequences: number;
  readonly numContextTokens: number;
  /** Milliseconds. */
  readonly byDevice: Readonly<Record<CpuDevice, Interval>>;
}

export interface PlanningCost {
  readonly numSequences: number;
  /** Planning and learning, of a pass. */
  readonly microseconds: number;
  /** Of the whole pass, everything included. */
  readonly msPerForward: number;
}

export interface SlotResult {
  readonly label: string;
  readonly costs: readonly SlotCost[];
  readonly sampling: readonly SamplingCost[];
  readonly planning: readonly PlanningCost[];
}

const MAX_ROUNDS = 25;
const MAX_CANDIDATES = 256;
const PLANNING_TOKENS = 48;
const PLANNING_TEXTS = 20;

/** What a pass, a draw and a plan cost for a model. */
export async function benchSlots(subject: Subject, options: SlotOptions): Promise<SlotResult> {
  const { vocabSize } = subject.folder.config;
  const costs = await slotCosts(subject, options);
  options.onProgress?.(`${subject.folder.name}: sampling`);
  const sampling = measureSampling([vocabSize], Math.min(MAX_CANDIDATES, vocabSize));
  return { label: subject.label, costs, sampling, planning: await planningCosts(subject, options) };
}

/** Rows × sequences × context, as the planner measures them: where each sequence has a row at least. */
async function slotCosts(subject: Subject, options: SlotOptions): Promise<SlotCost[]> {
  const { numThreads, timeLimitMs, onProgress } = options;
  const shapes = options.contexts.flatMap((numContextTokens) =>
    options.sequences.flatMap((numSequences) =>
      options.rows
        .filter((numRows) => numRows >= numSequences)
        .map((numRows) => ({ numRows, numSequences, numContextTokens, times: timesByDevice() })),
    ),
  );
  const sessions = await Promise.all(
    DEVICES.map((device) => openModel(subject.folder, { numThreads, device })),
  );
  const timers = sessions.map((session) => new ShapeTimer(session));
  try {
    const startedAt = performance.now();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      onProgress?.(`${subject.folder.name}: slot curves, round ${round + 1} of at most ${MAX_ROUNDS}`);
      for (const { numRows, numSequences, numContextTokens, times } of shapes)
        for (const [at, device] of DEVICES.entries()) {
          const time: TimeShape | undefined = timers[at]?.time;
          // In a text a pass follows one like it, whose weights are still in the processor's caches.
          await time?.(numRows, numSequences, numContextTokens);
          times[device].push((await time?.(numRows, numSequences, numContextTokens)) ?? NaN);
        }
      if (performance.now() - startedAt > timeLimitMs) break;
    }
  } finally {
    for (const timer of timers) timer.dispose();
    for (const session of sessions) await session.dispose();
  }
  return shapes.map(({ times, ...shape }) => ({ ...shape, byDevice: intervals(times) }));
}

type Times = Record<CpuDevice, number[]>;

function timesByDevice(): Times {
  return { 'c-api': [], 'node-binding': [] };
}

/** The first round warms up. */
function intervals(times: Times): Record<CpuDevice, Interval> {
  const of = (device: CpuDevice): Interval => {
    const all = times[device];
    return medianInterval(all.length > 1 ? all.slice(1) : all);
  };
  return { 'c-api': of('c-api'), 'node-binding': of('node-binding') };
}

/** Auto at work, on in-domain text. */
async function planningCosts(subject: Subject, options: SlotOptions): Promise<PlanningCost[]> {
  const device = await openModel(subject.folder, { numThreads: options.numThreads });
  const law = measured(device, subject, 'in-domain');
  const { engine, timed, decoder, chooser } = autoContender(law, await plannerPoints(law), 16);
  const prompts = subjectPrompts(subject, PLANNING_TEXTS);
  const decoding = { maxTokens: PLANNING_TOKENS, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
  const costs: PlanningCost[] = [];
  try {
    for (const numSequences of options.sequences) {
      options.onProgress?.(`${subject.folder.name}: planning for ${numSequences} sequence(s)`);
      const some = promptsOfRound(prompts, Math.max(8, 2 * numSequences), 0);
      const runs: { us: number; ms: number }[] = [];
      for (let repetition = 0; repetition < 3; repetition++) {
        const before = chooser.milliseconds;
        const run = await decodeSteadily(engine, timed, some, numSequences, decoding);
        const us = (1000 * (chooser.milliseconds - before)) / run.numAllPasses;
        runs.push({ us, ms: run.ms / run.numPasses });
      }
      costs.push({
        numSequences,
        microseconds: median(runs.map((run) => run.us)),
        msPerForward: median(runs.map((run) => run.ms)),
      });
    }
    return costs;
  } finally {
    engine.dispose();
    await law.session.dispose();
  }
}
