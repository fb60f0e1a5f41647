import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Decoder } from '../decode/decoder.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import { openModel } from '../device/open.ts';
import { expectedTensors, parseModelConfig } from '../model/config.ts';
import { loadModelFolder } from '../model/folder.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { copyOfFixture, temporaryFolder } from '../model/testing/temporary-folder.ts';
import { TINY_TOKENIZER_CONFIG, tinyTokenizerJson } from '../model/testing/tiny-tokenizer.ts';
import type { Answer } from './evaluate.ts';
import { answerAll, summarize } from './evaluate.ts';
import type { HeldOutQuestion } from './held-out.ts';
import { isExactMatch, limitPerKind, readHeldOut } from './held-out.ts';

const SUM: HeldOutQuestion = { kind: 'sums', question: 'What?', answer: '1 + 1 = 2\n#### 2', expected: '2' };
const FACT: HeldOutQuestion = { kind: 'facts', question: 'Where?', answer: 'In Rome.', expected: 'In Rome.' };

describe('an exact match', () => {
  it.each([
    ['1 + 1 = 2\n#### 2', true],
    ['quite another way\n#### 2', true],
    ['#### 1\n#### 2', true],
    ['1 + 1 = 2\n#### 3', false],
    ['2', false],
    ['', false],
  ])('of a worked problem is that of its last line: %j', (text, isExact) => {
    expect(isExactMatch(SUM, text)).toBe(isExact);
  });

  it.each([
    ['In Rome.', true],
    [' In Rome.\n', true],
    ['In Rome', false],
    ['#### In Rome.', false],
  ])('of a fact is that of its whole text: %j', (text, isExact) => {
    expect(isExactMatch(FACT, text)).toBe(isExact);
  });
});

describe('held-out questions', () => {
  it('are read line by line, and a bad line is named', () => {
    const path = join(temporaryFolder(), 'heldout.jsonl');
    writeFileSync(path, `${JSON.stringify(SUM)}\n${JSON.stringify(FACT)}\n`);
    expect(readHeldOut(path)).toEqual([SUM, FACT]);
    writeFileSync(path, `${JSON.stringify(SUM)}\n{"kind":`);
    expect(() => readHeldOut(path)).toThrow('heldout.jsonl, line 2: is not JSON.');
    writeFileSync(path, '{"kind":"sums"}');
    expect(() => readHeldOut(path)).toThrow('line 1: expected kind, question, answer and expected');
  });

  it('are limited for each kind apart', () => {
    expect(limitPerKind([SUM, SUM, FACT, SUM], 1)).toEqual([SUM, FACT]);
    expect(limitPerKind([SUM, SUM, FACT, SUM], 2)).toEqual([SUM, SUM, FACT]);
  });
});

describe('a summary', () => {
  const answer = (change: Partial<Answer>): Answer => ({
    ...{ kind: 'sums', decoder: 'ar', question: '', expected: '', text: '', isExact: true, equalsAr: true },
    ...{ isCutShort: false, numTokens: 11, numForwardPasses: 11, milliseconds: 100, ...change },
  });

  it('counts tokens per forward without prefill and the token that it gives', () => {
    const [summary] = summarize([
      answer({ numTokens: 11, numForwardPasses: 3 }),
      answer({ numTokens: 21, numForwardPasses: 7, isExact: false }),
    ]);
    expect(summary).toMatchObject({
      numQuestions: 2,
      numExact: 1,
      tokensPerForward: 30 / 8,
      tokensPerSecond: 160,
    });
  });

  it('keeps kinds and decoders apart, draft lengths in order, and ends with all kinds', () => {
    const kinds = ['sums', 'facts'];
    const decoders = ['tidar k=16', 'ar', 'tidar k=4'];
    const answers = kinds.flatMap((kind) => decoders.map((decoder) => answer({ kind, decoder })));
    expect(
      summarize(answers).map(({ kind, decoder, numQuestions }) => `${kind} ${decoder} ${numQuestions}`),
    ).toEqual([
      ...['sums ar 1', 'sums tidar k=4 1', 'sums tidar k=16 1'],
      ...['facts ar 1', 'facts tidar k=4 1', 'facts tidar k=16 1'],
      ...['all ar 2', 'all tidar k=4 2', 'all tidar k=16 2'],
    ]);
  });
});

/** A model folder with the tiny tokenizer and weights that mean nothing but are not all alike. */
function makeNonsenseModel(): string {
  const folder = copyOfFixture('llama-tidar');
  const json = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
  const changes = { vocab_size: 274, bos_token_id: 256, eos_token_id: 259 };
  const tidar = { mask_token_id: 260, block_size: 4 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...json, ...changes, tidar }));
  const config = parseModelConfig({ ...json, ...changes, tidar }, 'config.json');
  const tensors = [...expectedTensors(config)].map(([name, shape]) => {
    const numElements = shape.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: numElements }, (_, i) => Math.sin(i * i + name.length));
    return { name, dtype: 'F32' as const, shape, data };
  });
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson()));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(TINY_TOKENIZER_CONFIG));
  return folder;
}

describe('answering', () => {
  it('lets every decoder answer every question, and TiDAR gives the text of AR', async () => {
    const folder = loadModelFolder(makeNonsenseModel());
    const { tokenizer } = folder;
    if (tokenizer === undefined) throw new Error('the folder has no tokenizer');
    const session = await openModel(folder, { numThreads: 1 });
    const numDone: number[] = [];
    const decoders = ([4, 8] as const).map((draftLength): Decoder => {
      return { type: 'tidar', plan: draftLength === 4 ? 'dense' : 'sparse', draftLength, beta: 1 };
    });
    const engine = soloEngine(session);
    const answers = await answerAll({
      ...{ engine, tokenizer, questions: [SUM, FACT], decoders, maxTokens: 12 },
      onAnswers: (_, n) => numDone.push(n),
    });
    engine.dispose();
    await session.dispose();
    expect(numDone).toEqual([1, 2]);
    expect(answers.every(({ equalsAr }) => equalsAr)).toBe(true);
    const summaries = summarize(answers);
    expect(summaries).toHaveLength(3 * 3);
    for (const summary of summaries.filter(({ decoder }) => decoder === 'ar')) {
      expect(summary.tokensPerForward).toBe(1);
      expect(summary.numTokens).toBe(summary.numForwardPasses);
    }
    expect(summaries.every(({ tokensPerForward }) => tokensPerForward >= 1)).toBe(true);
    expect(
      answers.every(({ numTokens, isCutShort }) => numTokens <= 12 && isCutShort === (numTokens === 12)),
    ).toBe(true);
  });
});
