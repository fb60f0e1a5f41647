import { readFileSync } from 'node:fs';
import { checkLaw } from '../../../cli/doctor/law.ts';
import { doctorPrompts } from '../../../cli/doctor/prompts.ts';
import type { Law } from '../../../cli/doctor/task.ts';
import { loadModelFolder } from '../../../model/folder.ts';
import type { Quantization } from '../../../model/quantization/scheme.ts';
import type { ForwardOutput, KvCache } from '../../device.ts';
import { openModel } from '../../open.ts';
import { batchOf, causalRows, idleSlot, largestDifference } from '../../testing.ts';
import type { SlotRows } from '../../testing.ts';

// Runs in a process of its own, whose environment has an adapter. Prints what it found as one line of JSON.

interface Expected {
  causalLogits: { tokens: number[]; logits: number[][] };
  step: { prefix: number[]; rows: number[]; positions: number[]; mask: number[][]; logits: number[][] };
}

export interface ConformanceReport {
  readonly hardware: string;
  /** Largest errors against the independent oracle. */
  readonly causalError: number;
  readonly stepError: number;
  /** Largest differences of the step's logits in other arrangements from those alone. */
  readonly inOtherSlots: number;
  readonly afterCopies: number;
  readonly candidateError: number;
  /** Texts of drafts beside those of plain decoding. */
  readonly law: Law;
}

const [folderPath = '', quantize] = process.argv.slice(2) as [string?, Quantization?];
const folder = loadModelFolder(folderPath, { quantize });
const expected = JSON.parse(readFileSync(`${folderPath}/expected.json`, 'utf8')) as Expected;
const { prefix, rows, positions, mask, logits: stepLogits } = expected.step;
const step: SlotRows = { tokenIds: rows, positions, writeIndex: prefix.length, mask };
const session = await openModel(folder, { numThreads: 1, device: 'webgpu', candidates: true });
process.stdout.write(`${JSON.stringify(await report())}\n`);
await session.dispose();

async function report(): Promise<ConformanceReport> {
  const alone = await stepAlone();
  return {
    hardware: session.gpu?.hardware ?? 'none',
    causalError: await causalError(),
    stepError: largestDifference(alone, stepLogits),
    inOtherSlots: largestDifference(await stepInOtherSlots(), alone),
    afterCopies: largestDifference(await stepAfterCopies(), alone),
    candidateError: await candidateError(),
    law: await checkLaw(session, {
      ...{ model: folder.name, prompts: doctorPrompts(folder, 2), plans: ['dense'] },
      ...{ maxTokens: 12, timeLimitMs: Infinity },
    }),
  };
}

function rowsOf(output: ForwardOutput, count: number): number[][] {
  return Array.from({ length: count }, (_, index) => [...output.logits(index)]);
}

async function runOne(cache: KvCache, slots: readonly SlotRows[], changes = {}): Promise<number[][]> {
  const batch = batchOf(cache.capacity, slots, changes);
  return rowsOf(await session.run(cache, batch), batch.numLogitRows);
}

async function causalError(): Promise<number> {
  const { tokens, logits } = expected.causalLogits;
  const cache = session.createCache(1, 96);
  const found = await runOne(cache, [causalRows(tokens)]);
  cache.dispose();
  return largestDifference(found, logits);
}

async function stepAlone(): Promise<number[][]> {
  const cache = session.createCache(1, 96);
  await runOne(cache, [causalRows(prefix)]);
  const found = await runOne(cache, [step]);
  cache.dispose();
  return found;
}

/** Beside another text and an idle one, in the last of four slots, with padding and another capacity. */
async function stepInOtherSlots(): Promise<number[][]> {
  const cache = session.createCache(4, 64);
  const other = causalRows(prefix.toReversed());
  await runOne(cache, [other, other], { firstSlot: 1 });
  await runOne(cache, [causalRows(prefix)], { firstSlot: 3 });
  const padded = { firstSlot: 1, numPaddedRows: rows.length + 3 };
  const found = await runOne(cache, [causalRows([3, 5], prefix.length), idleSlot(40), step], padded);
  cache.dispose();
  return found.slice(2);
}

/** Columns copied, saved and restored, within and between caches: nothing of them is read by this process. */
async function stepAfterCopies(): Promise<number[][]> {
  const end = prefix.length;
  const first = session.createCache(2, 80);
  await runOne(first, [causalRows(prefix)], { firstSlot: 1 });
  first.copyColumns(1, { start: 0, end }, first, 0);
  const second = session.createCache(3, 96);
  first.copyColumns(0, { start: 0, end: 3 }, second, 2);
  const saved = first.save(0, { start: 2, end });
  first.dispose();
  second.restore(2, 3, saved, { start: 1, end: end - 2 });
  saved.dispose();
  const found = await runOne(second, [step], { firstSlot: 2 });
  second.dispose();
  return found;
}

/** Of the best scores and the log-sum-exp, against those of the whole rows. */
async function candidateError(): Promise<number> {
  const cache = session.createCache(1, 96);
  const batch = batchOf(96, [causalRows(prefix)], { numCandidates: 5 });
  const output = await session.run(cache, batch);
  const errors = prefix.flatMap((_, index) => {
    const row = [...output.logits(index)];
    const { scores, tokenIds, logSumExp } = output.candidates(index) ?? {
      scores: [],
      tokenIds: [],
      logSumExp: NaN,
    };
    const total = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const best = row.toSorted((a, b) => b - a);
    const wrong = [...scores].map((score, rank) =>
      Math.max(Math.abs(score - (best[rank] ?? NaN)), Math.abs(score - (row[tokenIds[rank] ?? -1] ?? NaN))),
    );
    return [Math.abs(logSumExp - total), ...wrong];
  });
  cache.dispose();
  return Math.max(...errors);
}
