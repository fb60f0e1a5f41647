import { readFileSync } from 'node:fs';

/** What the emulator wrote down between two marks. */
export interface Phase {
  readonly name: string;
  /** Bytes copied, by direction. */
  readonly toDevice: number;
  readonly toHost: number;
  readonly withinDevice: number;
  readonly numLaunches: number;
  readonly numCapturedLaunches: number;
  readonly numCaptures: number;
  readonly numGraphLaunches: number;
  /** Device memory that was taken. */
  readonly allocated: number;
  /** Device memory that was given back. */
  readonly freed: number;
  /** Whether the last copy within the device was waited for. */
  readonly isSettled: boolean;
  /** What the emulator refused. */
  readonly errors: readonly string[];
}

const MARK = '# ';

/** What a program under emulation writes to the log at the beginning of a phase. */
export const markLine = (name: string): string => `${MARK}${name}\n`;

/** The log by phases; what came before the first mark is a phase named ''. */
export function readLog(path: string): Phase[] {
  const phases: { name: string; lines: string[] }[] = [{ name: '', lines: [] }];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line.startsWith(MARK)) phases.push({ name: line.slice(MARK.length), lines: [] });
    else if (line !== '') phases.at(-1)?.lines.push(line);
  }
  return phases.map(({ name, lines }) => ({ name, ...summarize(lines) }));
}

function summarize(lines: readonly string[]): Omit<Phase, 'name'> {
  const bytes = (start: string): number =>
    lines
      .filter((line) => line.startsWith(start))
      .reduce((sum, line) => sum + Number(line.slice(start.length).trim().split(' ')[0]), 0);
  const count = (text: string): number => lines.filter((line) => line === text).length;
  const lastCopy = lines.findLastIndex((line) => line.startsWith('copy device-device'));
  return {
    toDevice: bytes('copy host-device'),
    toHost: bytes('copy device-host'),
    withinDevice: bytes('copy device-device'),
    numLaunches: count('launch'),
    numCapturedLaunches: count('launch captured'),
    numCaptures: count('capture end'),
    numGraphLaunches: count('graph launch'),
    allocated: bytes('allocate'),
    freed: bytes('free'),
    isSettled: lines.findLastIndex((line) => line === 'wait device') >= lastCopy,
    errors: lines.filter((line) => line.startsWith('error')),
  };
}
