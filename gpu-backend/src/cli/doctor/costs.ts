import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import type { OpenOptions } from '../../device/open.ts';
import { ShapeTimer } from '../../engine/time-shape.ts';
import type { ModelFolder } from '../../model/folder.ts';

const CURVE_ROWS = [2, 4, 8, 16, 24, 32, 48, 64];
const CONTEXT = 256;
const MAX_ROUNDS = 7;
const BUDGET_MS = 20_000;
/** About what a planned pass has. */
const TYPICAL_ROWS = 16;
const MOST_THREADS = 8;

/**
 * What a pass of one text costs by rows; shapes take turns, and the first round warms up. Whatever else the machine does
 * only ever adds to a pass's time: the least of a few is told.
 */
export async function slotCurve(session: ModelSession): Promise<{ numRows: number; milliseconds: number }[]> {
  const timer = new ShapeTimer(session);
  const context = Math.min(CONTEXT, session.config.maxPositions);
  const times = CURVE_ROWS.filter((numRows) => numRows <= context).map((numRows) => ({
    numRows,
    all: new Array<number>(),
  }));
  const startedAt = performance.now();
  for (let round = 0; round <= MAX_ROUNDS; round += 1) {
    for (const { numRows, all } of times) {
      const milliseconds = await timer.time(numRows, 1, context);
      if (round > 0) all.push(milliseconds);
    }
    if (round > 0 && performance.now() - startedAt > BUDGET_MS) break;
  }
  timer.dispose();
  return times.map(({ numRows, all }) => ({ numRows, milliseconds: Math.min(...all) }));
}

/** Whether more threads than one pay, for a model that is loaded again in no time. */
export async function threadCosts(
  folder: ModelFolder,
  options: Omit<OpenOptions, 'numThreads'>,
): Promise<{ numThreads: number; milliseconds: number }[]> {
  const found: { numThreads: number; milliseconds: number }[] = [];
  const most = Math.min(MOST_THREADS, availableParallelism());
  for (let numThreads = 1; numThreads <= most; numThreads *= 2) {
    const session = await openModel(folder, { ...options, numThreads });
    const timer = new ShapeTimer(session);
    const context = Math.min(CONTEXT, session.config.maxPositions);
    const all: number[] = [];
    for (let run = 0; run <= MAX_ROUNDS; run += 1) all.push(await timer.time(TYPICAL_ROWS, 1, context));
    found.push({ numThreads, milliseconds: Math.min(...all.slice(1)) });
    timer.dispose();
    await session.dispose();
  }
  return found;
}

/** Memory that is this process's own; what is mapped from files is the system's to take back. */
export function heldBytes(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kib = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kib === undefined ? undefined : 1024 * Number(kib);
}
