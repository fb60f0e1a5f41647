import { describe, expect, it } from 'vitest';
import { soloEngine } from '../../decode/solo-engine.ts';
import { openModel } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { engineDecoder } from './decode-ours.ts';
import { benchPeers } from './peers.ts';
import { reportPeers } from './peers-report.ts';
import { greedyText, questionPrompts } from './record-acceptance.ts';
import { decodeConcurrently, fastest, measureRound, promptsOfRound } from './rounds.ts';

describe('bench peers', () => {
  it('finds the same text in llama.cpp, and ends with the line of ratios', async () => {
    const folder = loadModelFolder(DEMO_MODEL);
    const session = await openModel(folder, { numThreads: 1 });
    const cache = session.createCache(1, 256);
    const progress: string[] = [];
    const result = await benchPeers({
      folder,
      session,
      prompts: questionPrompts(folder, 3),
      maxTokens: 6,
      numThreads: 1,
      // The device takes one sequence at a time here.
      decodeOurs: (prompts, _, maxTokens: number) =>
        decodeConcurrently(prompts, 1, async (prompt) => {
          return (await greedyText(session, cache, prompt, maxTokens)).completionIds;
        }),
      ar: { name: 'ar', decoder: 6 },
      ours: [{ name: 'shorter', decoder: 3 }],
      batches: [1, 2],
      lookupLengths: [0, 3],
      within: 1,
      timeLimitMs: 0,
      onProgress: (what) => progress.push(what),
    });
    await session.dispose();
    expect(result.agreement.numSameTexts).toBe(3);
    expect(result.agreement.numSameTokens).toBe(result.agreement.numTokens);
    expect(result.batches.map(({ batch }) => batch)).toEqual([1, 2]);
    for (const { contenders, screening, ours, theirs, theirAr } of result.batches) {
      expect(ours).toBe('shorter');
      expect(screening).toHaveLength(8);
      expect(theirs).toMatch(/^llama\.cpp F(32|16), flash attention (on|off)/);
      expect(theirAr).not.toContain('lookup');
      expect(contenders.slice(0, 2).map(({ name }) => name)).toEqual(['ar', 'shorter']);
      for (const { tokensPerSecond } of contenders) expect(tokensPerSecond).toBeGreaterThan(0);
    }
    expect(progress).toHaveLength(4);
    const lines = reportPeers(result).split('\n');
    expect(lines[0]).toContain('3 of 3 the same');
    expect(lines.at(-1)).toMatch(
      /^ours\/llama\.cpp \d+\.\d\d \(batch 1\) \d+\.\d\d \(batch 2\) {2}ar\/ar \d+\.\d\d$/,
    );
  });
});

describe('our engine in the bench', () => {
  it('gives plain decoding’s texts, in the order of their prompts, at any batch', async () => {
    const folder = loadModelFolder(DEMO_MODEL);
    const session = await openModel(folder, { numThreads: 1 });
    const engine = soloEngine(session);
    const prompts = questionPrompts(folder, 5);
    const cache = session.createCache(1, 256);
    const expected: (readonly number[])[] = [];
    for (const prompt of prompts) expected.push((await greedyText(session, cache, prompt, 20)).completionIds);
    const decode = engineDecoder(engine, 20);
    const dense = { type: 'tidar', plan: 'dense', draftLength: 4, beta: 1 } as const;
    for (const [batch, decoder] of [
      [1, { type: 'ar' }],
      [3, { type: 'ar' }],
      [2, dense],
    ] as const)
      expect((await decode(prompts, batch, decoder)).tokens).toEqual(expected);
    engine.dispose();
    await session.dispose();
  });
});

describe('rounds', () => {
  it('keep the batch full, and texts in the order of their prompts', async () => {
    let [numAtOnce, most] = [0, 0];
    const { tokens } = await decodeConcurrently([[1], [2], [3], [4], [5]], 2, async ([id = 0]) => {
      most = Math.max(most, (numAtOnce += 1));
      for (let turn = 0; turn < 7 - id; turn++) await Promise.resolve();
      numAtOnce -= 1;
      return [id, id];
    });
    expect(tokens).toEqual([1, 2, 3, 4, 5].map((id) => [id, id]));
    expect(most).toBe(2);
  });

  it('measure tokens, not texts, and know the fastest', async () => {
    const of = (name: string, numTokens: number, ms: number) => ({
      name,
      decode: () => Promise.resolve({ tokens: [new Array<number>(numTokens).fill(1)], ms }),
    });
    const contenders = [of('long', 100, 50), of('short', 10, 4)];
    const round = await measureRound(contenders, [[1]], 0);
    expect(round.get('long')).toEqual({ rate: 2000, tokensPerText: 100 });
    expect(fastest(contenders, [round]).name).toBe('short');
    expect(promptsOfRound([[0], [1], [2]], 2, 1)).toEqual([[2], [0]]);
  });
});
