import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { BatchPacker } from '../../engine/batch.ts';
import { ar, dense } from '../../engine/plan.ts';
import { prepare } from '../../engine/prepare.ts';
import { Sequence } from '../../engine/sequence.ts';
import { PROMPT, sequenceOptions } from '../../engine/testing.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { fixturePath } from '../../model/testing/temporary-folder.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { NothingAcceptedSession, SingleRowSession, TimedSession } from './sessions.ts';
import { decodeSteadily, decodeText } from './texts.ts';

const FIXTURE = fixturePath('qwen3-tidar');
const CAPACITY = 64;

let session: ModelSession;
let singleRow: ModelSession;
beforeAll(async () => {
  session = await openModel(loadModelFolder(FIXTURE), { numThreads: 1 });
  singleRow = await openModel(loadModelFolder(FIXTURE), { numThreads: 1, allowSingleRow: true });
});
afterAll(async () => {
  await session.dispose();
  await singleRow.dispose();
});

/** Sequences after their prompts' first token, and the next pass of all. */
async function nextPass(
  on: ModelSession,
  numSequences: number,
): Promise<{ cache: KvCache; batch: ForwardBatch }> {
  const cache = on.createCache(numSequences, CAPACITY);
  const packer = new BatchPacker();
  const sequences = Array.from({ length: numSequences }, (_, at) => {
    return new Sequence(sequenceOptions({ promptIds: PROMPT.slice(at) }), on.config.vocabSize);
  });
  await on.run(
    cache,
    packer.pack(
      sequences.map((one) => prepare(on.config, one, ar())),
      CAPACITY,
      0,
    ),
  );
  for (const one of sequences) one.commit([5], [], ar(), -1);
  return {
    cache,
    batch: packer.pack(
      sequences.map((one) => prepare(on.config, one, ar())),
      CAPACITY,
      0,
    ),
  };
}

describe('plain decoding with a single row', () => {
  it.each([1, 3])(
    'runs one row for each of %i sequences, and says the same within rounding',
    async (count) => {
      const ran: ForwardBatch[] = [];
      class Watched extends TimedSession {
        override run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
          ran.push(batch);
          return super.run(cache, batch);
        }
      }
      const lawful = await nextPass(session, count);
      const expected = await session.run(lawful.cache, lawful.batch);
      const unpadded = new SingleRowSession(new Watched(singleRow));
      const single = await nextPass(unpadded, count);
      const output = await unpadded.run(single.cache, single.batch);
      const batch = ran.at(-1)!;
      expect([batch.numRows, batch.numPaddedRows, batch.numLogitRows]).toEqual([count, 1, count]);
      expect([...batch.rowStarts.slice(0, count + 1)]).toEqual(
        Array.from({ length: count + 1 }, (_, at) => at),
      );
      for (let row = 0; row < count; row++)
        for (const [id, logit] of output.logits(row).entries())
          expect(logit).toBeCloseTo(expected.logits(row)[id]!, 4);
      lawful.cache.dispose();
      single.cache.dispose();
    },
  );
});

describe('text on which nothing is accepted', () => {
  const decoding = { maxTokens: 24, sampling: PLAIN_SAMPLING, stopTokenIds: [], ignoreEos: true };
  const DENSE = { type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 } as const;

  it('is the text of plain decoding, one token a forward pass', async () => {
    const timed = new TimedSession(session);
    const engine = soloEngine(new NothingAcceptedSession(timed));
    for (const promptIds of [PROMPT, PROMPT.slice(3)]) {
      const plain = await decodeText(engine, timed, { promptIds, ...decoding, decoder: { type: 'ar' } });
      const drafted = await decodeText(engine, timed, { promptIds, ...decoding, decoder: DENSE });
      expect(drafted.tokenIds).toEqual(plain.tokenIds);
      expect(drafted.numPasses).toBe(23);
      expect(drafted.numRows).toBeGreaterThan(5 * 23);
    }
    engine.dispose();
  });

  it('moves mask rows by one place of the vocabulary, once, however often they are read', async () => {
    const sequence = new Sequence(sequenceOptions(), session.config.vocabSize);
    const layout = prepare(session.config, sequence, {
      ...dense(4),
      numDraftRows: 1,
      outcomes: [dense(4).outcomes[0]!],
    });
    const batch = new BatchPacker().pack([layout], CAPACITY, 0);
    const cache = session.createCache(1, CAPACITY);
    const output = await session.run(cache, batch);
    const plain = Array.from({ length: batch.numLogitRows }, (_, row) => output.logits(row).slice());
    const shifted = await new NothingAcceptedSession(session).run(cache, batch);
    for (const [row, logits] of plain.entries()) {
      const isMask = batch.tokenIds[batch.logitRows[row]!] === session.config.tidar!.maskTokenId;
      const wanted = isMask ? [logits.at(-1)!, ...logits.slice(0, -1)] : [...logits];
      for (let time = 0; time < 2; time++) expect([...shifted.logits(row)]).toEqual(wanted);
    }
    expect(plain.length).toBe(4);
    cache.dispose();
  });
});

describe('texts decoded together', () => {
  it('are those decoded alone, and only passes of a full batch count', async () => {
    const timed = new TimedSession(session);
    const engine = soloEngine(timed);
    const prompts = [0, 1, 2, 3, 4].map((from) => PROMPT.slice(from));
    const options = {
      maxTokens: 10,
      sampling: PLAIN_SAMPLING,
      stopTokenIds: [],
      decoder: { type: 'ar' },
    } as const;
    const run = await decodeSteadily(engine, timed, prompts, 2, options);
    expect(engine.numActive).toBe(0);
    engine.checkIntegrity();
    let numTokens = 0;
    for (const [at, promptIds] of prompts.entries()) {
      const alone = await decodeText(engine, timed, { promptIds, ...options });
      expect(alone.tokenIds.slice(0, run.texts[at]!.length)).toEqual(run.texts[at]);
      numTokens += run.texts[at]!.length;
    }
    expect(run.texts.filter((one) => one.length > 0)).toHaveLength(5);
    // Two first tokens come before the batch is steady; every pass after it has two sequences.
    expect(run.numTokens).toBe(numTokens - 2);
    expect(run.numDecodeTokens).toBe(run.numTurns);
    expect(run.numTokens).toBe(2 * run.numPasses);
    expect(run.pure.numTokens).toBeLessThan(run.numTokens);
    engine.dispose();
  });
});
