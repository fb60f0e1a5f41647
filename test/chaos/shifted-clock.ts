import { readFileSync } from 'node:fs';

// Loaded into a backend before anything else (`node --import`): its wall clock is off by the milliseconds that stand in
// the file CHAOS_CLOCK, and jumps when these change. The product knows nothing of it. Monotonic clocks and timers stay.

const READ_EVERY_MS = 20;
const path = process.env['CHAOS_CLOCK'] ?? '';
const SystemDate = Date;
let offsetMs = 0;

function read(): void {
  try {
    offsetMs = Number(readFileSync(path, 'utf8'));
  } catch {
    // Not there: this clock is right.
  }
}
read();
setInterval(read, READ_EVERY_MS).unref();

class ShiftedDate extends SystemDate {
  constructor(...when: unknown[]) {
    // Whatever a Date can be made of.
    super(...((when.length === 0 ? [ShiftedDate.now()] : when) as [number]));
  }

  static override now(): number {
    return SystemDate.now() + offsetMs;
  }
}
globalThis.Date = ShiftedDate as DateConstructor;
