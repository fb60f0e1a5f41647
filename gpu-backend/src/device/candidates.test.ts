import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import { copyOfFixture } from '../model/testing/temporary-folder.ts';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from './device.ts';
import { DEVICES, openModel } from './open.ts';
import type { SlotRows } from './testing.ts';
import { batchOf, causalRows, tokensOf } from './testing.ts';

const CAPACITY = 32;
const FIXTURES = ['llama-tidar', 'qwen2-tidar'] as const;

function rowsOf(output: ForwardOutput, batch: ForwardBatch): number[][] {
  return Array.from({ length: batch.numLogitRows }, (_, index) => [...output.logits(index)]);
}

async function logitsOf(session: ModelSession, cache: KvCache, slots: SlotRows[]): Promise<number[][]> {
  const batch = batchOf(cache.capacity, slots);
  return rowsOf(await session.run(cache, batch), batch);
}

describe.each(FIXTURES.flatMap((name) => DEVICES.map((device) => ({ name, device }))))(
  '$name on $device',
  ({ name, device }) => {
    let session: ModelSession;
    let withCandidates: ModelSession;
    beforeAll(async () => {
      const folder = loadModelFolder(`test/fixtures/${name}`);
      session = await openModel(folder, { numThreads: 1, device });
      withCandidates = await openModel(folder, { numThreads: 1, device, candidates: true });
    });
    afterAll(async () => {
      await session.dispose();
      await withCandidates.dispose();
    });

    it('gives as candidates the best of the full row, in order, with its log-sum-exp', async () => {
      expect(session.maxCandidates).toBe(0);
      expect(withCandidates.maxCandidates).toBe(session.config.vocabSize);
      const cache = withCandidates.createCache(1, CAPACITY);
      const plain = session.createCache(1, CAPACITY);
      for (const numCandidates of [1, 5, session.config.vocabSize]) {
        const rows = causalRows(tokensOf(9));
        const full = await logitsOf(session, plain, [rows]);
        const output = await withCandidates.run(cache, batchOf(CAPACITY, [rows], { numCandidates }));
        full.forEach((row, index) => {
          expect([...output.logits(index)]).toEqual(row);
          expectCandidates(output, index, row, numCandidates);
        });
      }
      expect(
        (await session.run(plain, batchOf(CAPACITY, [causalRows([1, 2])]))).candidates(0),
      ).toBeUndefined();
    });

    it('gives the same bits whichever rows are read together', async () => {
      const cache = withCandidates.createCache(1, CAPACITY);
      const bitsOf = async (logitRows: number[]): Promise<number[][]> => {
        const read = {
          logitRows: Int32Array.from(logitRows),
          numLogitRows: logitRows.length,
          numCandidates: 3,
        };
        const output = await withCandidates.run(cache, batchOf(CAPACITY, [causalRows(tokensOf(11))], read));
        return logitRows.map((_, index) => {
          const { scores, tokenIds, logSumExp } = output.candidates(index)!;
          return [...scores, ...tokenIds, logSumExp];
        });
      };
      const all = await bitsOf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      for (const rows of [
        [3, 4],
        [10, 0, 5],
        [7, 7, 2, 9, 1],
      ]) {
        expect(await bitsOf(rows)).toEqual(rows.map((row) => all[row]));
      }
      cache.dispose();
    });

    it('gives of equal logits the lower ids first', async () => {
      const tied = withEqualRows(name, [3, 7, 8, 21, 30, 44]);
      const tying = await openModel(loadModelFolder(tied), { numThreads: 1, device, candidates: true });
      const cache = tying.createCache(1, CAPACITY);
      for (const numCandidates of [2, 4, 20]) {
        const batch = batchOf(CAPACITY, [causalRows(tokensOf(12))], { numCandidates });
        const output = await tying.run(cache, batch);
        rowsOf(output, batch).forEach((row, index) => {
          expect(new Set([3, 7, 8, 21, 30, 44].map((id) => row[id])).size).toBe(1);
          expectCandidates(output, index, row, numCandidates);
        });
      }
      cache.dispose();
      await tying.dispose();
    });
  },
);

/** A copy of a fixture in which these tokens have the same row in the head, so that their logits are equal. */
function withEqualRows(name: string, ids: readonly number[]): string {
  const folder = copyOfFixture(name);
  const { tensors, config } = loadModelFolder(folder);
  const head = tensors.get(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight')!;
  const file = path.join(folder, head.fileName);
  const bytes = readFileSync(file);
  const rowLength = head.byteLength / config.vocabSize;
  const startOf = (id: number): number => head.byteOffset + id * rowLength;
  for (const id of ids) bytes.copyWithin(startOf(id), startOf(ids[0]!), startOf(ids[0]!) + rowLength);
  writeFileSync(file, bytes);
  return folder;
}

function expectCandidates(output: ForwardOutput, index: number, row: number[], count: number): void {
  const { scores, tokenIds, logSumExp } = output.candidates(index)!;
  const ids = row.map((_, id) => id).sort((a, b) => row[b]! - row[a]! || a - b);
  expect([...tokenIds]).toEqual(ids.slice(0, count));
  expect([...scores]).toEqual(ids.slice(0, count).map((id) => row[id]));
  const highest = Math.max(...row);
  const exact = highest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  expect(Math.abs(logSumExp - exact)).toBeLessThan(1e-5);
}
