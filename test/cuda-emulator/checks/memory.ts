import assert from 'node:assert/strict';
import { FIXTURE } from '../check.ts';
import type { ColumnsTold } from '../programs/columns.ts';
import type { ThreadsTold } from '../programs/threads.ts';
import type { ShortageTold } from '../programs/shortage.ts';
import { runProgram } from '../run.ts';
import type { Emulation } from '../run.ts';

export function columns(emulation: Emulation): void {
  const filled = { CUDA_EMULATOR_FILL: '255' };
  const { told, phases } = runProgram<ColumnsTold>(emulation, 'columns', { path: FIXTURE }, filled);
  assert.deepEqual([told.numSoiled, told.numDifferent], [0, 0]);
  for (const [name, numColumns] of Object.entries(told.moved)) {
    const phase = phases.find((each) => each.name === name);
    assert.ok(phase !== undefined);
    const { toDevice, toHost, withinDevice, isSettled } = phase;
    assert.deepEqual([toDevice, toHost, withinDevice], [0, 0, numColumns * told.numBytesPerColumn], name);
    assert.ok(isSettled, `${name}: the next run may begin before the copy ends`);
  }
}

const ROOM_BYTES = 8 << 20;

export function shortage(emulation: Emulation): void {
  const limited = { CUDA_EMULATOR_LIMIT: String(ROOM_BYTES) };
  // A column takes 256 bytes: the first tensors fit, and the last doesn't.
  const asked = { path: FIXTURE, numColumns: 40_000 };
  const { told, phases } = runProgram<ShortageTold>(emulation, 'shortage', asked, limited);
  assert.deepEqual(told, { refusal: 'The GPU has no memory left.', numRows: 3 });
  const phase = phases.find(({ name }) => name === 'too large');
  assert.ok(phase !== undefined && phase.allocated > 0, 'a part of the cache fits');
  assert.equal(phase.freed, phase.allocated);
}

export function threads(emulation: Emulation): void {
  const { told, phases } = runProgram<ThreadsTold>(emulation, 'threads', { path: FIXTURE });
  assert.deepEqual(told.said, ['ran', 'ran', 'ran']);
  const captures = phases.reduce((sum, { numCaptures }) => sum + numCaptures, 0);
  assert.equal(captures, 3, 'each thread captures its own');
}
