import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { encodeOutcome, traceToJson } from './acceptance-trace.ts';
import type { AcceptanceTrace } from './acceptance-trace.ts';

/**
 * Records how a model's drafts fare on its own greedy answers:
 *   node gpu-backend/src/cli/bench/record-acceptance.ts --out FILE [--model F] [--questions N] [--max-tokens N]
 */

export interface Text {
  readonly promptIds: readonly number[];
  readonly completionIds: readonly number[];
}

const BLOCKS_PER_RUN = 4;

/** The rows of one sequence alone in slot 0; row r sees column c where `sees(r, c)`. */
export function soloBatch(
  cache: KvCache,
  rows: { tokenIds: number[]; positions: number[]; writeIndex: number; logitRows: number[] },
  sees: (row: number, column: number) => boolean,
): ForwardBatch {
  const numRows = rows.tokenIds.length;
  const mask = new Uint8Array(numRows * cache.capacity);
  for (let row = 0; row < numRows; row++)
    for (let column = 0; column < cache.capacity; column++)
      if (sees(row, column)) mask[row * cache.capacity + column] = 1;
  return {
    numSlots: 1,
    numRows,
    numPaddedRows: numRows,
    tokenIds: Int32Array.from(rows.tokenIds),
    positions: Int32Array.from(rows.positions),
    rowStarts: Int32Array.of(0, numRows),
    writeIndexes: Int32Array.of(rows.writeIndex),
    mask,
    numLogitRows: rows.logitRows.length,
    logitRows: Int32Array.from(rows.logitRows),
    numCandidates: 0,
  };
}

function range(length: number, first = 0): number[] {
  return Array.from({ length }, (_, index) => first + index);
}

/** Causal rows from `first` on; the output's last row is the last token's. */
function runCausal(session: ModelSession, cache: KvCache, ids: readonly number[], first: number) {
  // Two rows are the least: one token alone runs beside a scratch copy that nothing sees.
  const tokenIds = ids.length === 1 ? [...ids, ...ids] : [...ids];
  const positions = range(ids.length, first);
  if (ids.length === 1) positions.push(first);
  const logitRows = [Math.max(0, ids.length - 2), ids.length - 1];
  const batch = soloBatch(cache, { tokenIds, positions, writeIndex: first, logitRows }, (row, column) =>
    row < ids.length ? column <= first + row : column === first + row,
  );
  return session.run(cache, batch);
}

/** The two highest logits: lower ids win ties. */
function topTwo(logits: Float32Array): { best: number; second: number; margin: number } {
  let [best, second] = [-1, -1];
  let [bestScore, secondScore] = [-Infinity, -Infinity];
  for (const [id, score] of logits.entries()) {
    if (score > bestScore) [second, secondScore, best, bestScore] = [best, bestScore, id, score];
    else if (score > secondScore) [second, secondScore] = [id, score];
  }
  return { best, second, margin: bestScore - secondScore };
}

/** Plain greedy decoding, straight on the device. */
export async function greedyText(
  session: ModelSession,
  cache: KvCache,
  promptIds: readonly number[],
  maxTokens: number,
): Promise<Text> {
  const completionIds: number[] = [];
  let pending: readonly number[] = promptIds;
  while (completionIds.length < maxTokens) {
    const first = promptIds.length + completionIds.length - pending.length;
    const output = await runCausal(session, cache, pending, first);
    const { best } = topTwo(output.logits(1));
    completionIds.push(best);
    if (session.config.eosTokenIds.includes(best)) break;
    pending = [best];
  }
  return { promptIds, completionIds };
}

/** Runs a block of masks at every token of a text; the cache then holds the whole text. */
async function recordText(
  session: ModelSession,
  cache: KvCache,
  { promptIds, completionIds }: Text,
  blockSize: number,
): Promise<Uint8Array> {
  const ids = [...promptIds, ...completionIds];
  await runCausal(session, cache, ids, 0);
  const outcomes = new Uint8Array(completionIds.length * blockSize);
  for (let first = 0; first < completionIds.length; first += BLOCKS_PER_RUN) {
    const numBlocks = Math.min(BLOCKS_PER_RUN, completionIds.length - first);
    const starts = range(numBlocks, promptIds.length + first);
    const output = await runBlocks(session, cache, ids.length, starts, blockSize);
    for (let row = 0; row < numBlocks * blockSize; row++) {
      const { best, second, margin } = topTwo(output.logits(row));
      const expected = ids[(starts[Math.floor(row / blockSize)] ?? 0) + (row % blockSize)];
      // Past a text's end there is nothing to be right about.
      const outcome = { isHit: best === expected, isSecondHit: second === expected, margin };
      outcomes[first * blockSize + row] = encodeOutcome(outcome);
    }
  }
  return outcomes;
}

/** Blocks of masks in scratch columns, each seeing the text before its start and its own masks. */
function runBlocks(
  session: ModelSession,
  cache: KvCache,
  numColumns: number,
  starts: readonly number[],
  blockSize: number,
): Promise<ForwardOutput> {
  const { tidar } = session.config;
  if (tidar === undefined) throw new RangeError('the model has no diffusion mode');
  const numRows = starts.length * blockSize;
  const startOf = (row: number): number => starts[Math.floor(row / blockSize)] ?? 0;
  const rows = {
    tokenIds: range(numRows).map(() => tidar.maskTokenId),
    positions: range(numRows).map((row) => startOf(row) + (row % blockSize)),
    writeIndex: numColumns,
    logitRows: range(numRows),
  };
  const batch = soloBatch(cache, rows, (row, column) => {
    const other = column - numColumns;
    if (other < 0) return column < startOf(row);
    return Math.floor(other / blockSize) === Math.floor(row / blockSize);
  });
  return session.run(cache, batch);
}

export interface RecordOptions {
  readonly prompts: readonly (readonly number[])[];
  readonly maxTokens: number;
  readonly blockSize: number;
  readonly source: string;
}

export async function recordAcceptance(
  session: ModelSession,
  { prompts, maxTokens, blockSize, source }: RecordOptions,
): Promise<AcceptanceTrace> {
  const longest = Math.max(...prompts.map((prompt) => prompt.length)) + maxTokens;
  const cache = session.createCache(1, 128 * Math.ceil((longest + BLOCKS_PER_RUN * blockSize) / 128));
  try {
    const parts: Uint8Array[] = [];
    for (const prompt of prompts) {
      const text = await greedyText(session, cache, prompt, maxTokens);
      parts.push(await recordText(session, cache, text, blockSize));
    }
    const outcomes = new Uint8Array(Buffer.concat(parts));
    return { source, blockSize, numStarts: outcomes.length / blockSize, outcomes };
  } finally {
    cache.dispose();
  }
}

const questionsSchema = z.array(z.object({ question: z.string() }));
const QUESTIONS = new URL('../../../../test/fixtures/questions.json', import.meta.url);

/** The first held-out questions as prompts. */
export function questionPrompts(
  folder: ReturnType<typeof loadModelFolder>,
  numQuestions: number,
): number[][] {
  const { tokenizer } = folder;
  if (tokenizer === undefined) throw new RangeError(`${folder.name} has no tokenizer`);
  const questions = questionsSchema.parse(JSON.parse(readFileSync(QUESTIONS, 'utf8')));
  return questions
    .slice(0, numQuestions)
    .map(({ question }) => tokenizer.encodeChat([{ role: 'user', content: question }]));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      model: { type: 'string', default: DEMO_MODEL },
      questions: { type: 'string', default: '20' },
      'max-tokens': { type: 'string', default: '128' },
    },
  });
  if (values.out === undefined) throw new RangeError('Give --out FILE.');
  const folder = loadModelFolder(values.model);
  const session = await openModel(folder, { numThreads: 1 });
  try {
    const prompts = questionPrompts(folder, Number(values.questions));
    const trace = await recordAcceptance(session, {
      prompts,
      maxTokens: Number(values['max-tokens']),
      blockSize: folder.config.tidar?.blockSize ?? 16,
      source: `${folder.name} model, greedy answers to ${prompts.length} held-out questions`,
    });
    writeFileSync(values.out, traceToJson(trace));
  } finally {
    await session.dispose();
  }
}

if (import.meta.main) await main();
