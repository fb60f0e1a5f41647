import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import { writeTokenFile } from '../data/token-file.ts';
import type { TokenFile } from '../data/token-file.ts';
import { loadModelFolder } from '../model/folder.ts';
import { changeJson, copyOfFixture, temporaryFolder } from '../model/testing/temporary-folder.ts';
import { parseTokenizerJson } from '../model/tokenizer.ts';
import { exportModel } from './export.ts';
import { startFromFolder } from './from-folder.ts';
import { initialCheckpoint } from './initialize.ts';
import { chooseMaskToken } from './mask-token.ts';
import { assertFits, planMemory } from './memory.ts';
import { SequenceSampler } from './sampler.ts';
import { modelSizeSchema, trainingSettingsSchema } from './settings.ts';
import { logitsOfBoth, worstDifference } from './testing.ts';
import { Trainer } from './trainer.ts';

const SETTINGS = trainingSettingsSchema.parse({
  numSteps: 40,
  batchSize: 2,
  numTokens: 16,
  blockSizes: [4, 8],
  blockStarts: 'random',
  numWarmupSteps: 2,
  learningRate: 0.02,
});
const SIZE = modelSizeSchema.parse({ hiddenSize: 16, numLayers: 2, intermediateSize: 24, maxPositions: 64 });

/** A golden model as an AR checkpoint: nothing in it speaks of masks. */
function plainFolder(name: string): string {
  const folder = copyOfFixture(name);
  changeJson(path.join(folder, 'config.json'), { tidar: undefined });
  return folder;
}

function countingFile(folder: string): TokenFile {
  const random = new Random(3);
  const documents = Array.from({ length: 60 }, () => {
    const first = random.integer(0, 15);
    return [1, ...Array.from({ length: random.integer(6, 20) }, (_, at) => 4 + ((first + at) % 16)), 2];
  });
  return writeTokenFile(path.join(folder, 'train.bin'), documents);
}

const tokenizerJson = (numTokens: number, added: string[]) =>
  parseTokenizerJson(
    {
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(Array.from({ length: numTokens }, (_, id) => [`t${id}`, id])),
      },
      decoder: null,
      added_tokens: added.map((content, at) => ({ id: numTokens + at, content, special: true })),
    },
    'tokenizer.json',
  );

describe('training from a model folder', () => {
  it.each(['llama-tidar', 'qwen2-tidar', 'qwen3-tidar'])(
    'keeps the AR logits of %s, adds a mask, and trains what is then served',
    async (name) => {
      const folder = plainFolder(name);
      const { mask, load } = startFromFolder(folder, SETTINGS, undefined);
      expect(mask.id).toBe(48);
      const checkpoint = load();
      const converted = temporaryFolder();
      exportModel(
        { ...checkpoint, configJson: { ...checkpoint.configJson, torch_dtype: 'float32' } },
        folder,
        converted,
      );
      const { config } = loadModelFolder(converted);
      expect(config).toMatchObject({ vocabSize: 49, tidar: { maskTokenId: 48, blockSize: 8 } });
      const sequence = Array.from({ length: 16 }, (_, at) => (at * 11 + 5) % 48);
      const both = await logitsOfBoth(checkpoint, converted, sequence, { blockSize: 4, blockOffset: 1 });
      expect(worstDifference(both)).toBeLessThan(2e-5);
      // The original, served with its own mask token, is an oracle of the clean rows: none of them sees a mask.
      const original = copyOfFixture(name);
      const before = await logitsOfBoth(
        startFromFolder(original, SETTINGS, undefined).load(),
        original,
        sequence,
        { blockSize: 4, blockOffset: 1 },
      );
      both.forEach(({ isMask, served }, row) => {
        if (isMask) return;
        before[row]!.served.forEach((value, id) => expect(served[id]).toBeCloseTo(value, 4));
      });
    },
  );

  it('trains Nemotron-Labs-Diffusion as it is served, scaled positions and names of its own included', async () => {
    const folder = copyOfFixture('nemotron-tidar');
    const settings = { ...SETTINGS, numTokens: 40 };
    const { mask, load } = startFromFolder(folder, settings, undefined);
    expect(mask).toEqual({ id: 47, origin: 'its own' });
    const checkpoint = load();
    const exported = temporaryFolder();
    const configJson = { ...checkpoint.configJson, torch_dtype: 'float32' };
    exportModel({ ...checkpoint, configJson }, folder, exported);
    expect(loadModelFolder(exported).config.tidar).toEqual({ maskTokenId: 47, blockSize: 8 });
    const sequence = Array.from({ length: 40 }, (_, at) => (at * 11 + 5) % 47);
    const both = await logitsOfBoth(checkpoint, exported, sequence, { blockSize: 8, blockOffset: 5 });
    expect(worstDifference(both)).toBeLessThan(2e-5);
  });

  it('gives the mask the mean of all token rows, and keeps a mask that is there', () => {
    const folder = plainFolder('llama-tidar');
    const table = startFromFolder(folder, SETTINGS, undefined)
      .load()
      .tensors.get('model.embed_tokens.weight')!;
    const [numRows = 0, width = 0] = table.shape;
    expect(numRows).toBe(49);
    for (let column = 0; column < width; column += 1) {
      let sum = 0;
      for (let row = 0; row < 48; row += 1) sum += table.data[row * width + column]!;
      expect(table.data[48 * width + column]).toBeCloseTo(sum / 48, 6);
    }
    const own = startFromFolder(copyOfFixture('llama-tidar'), SETTINGS, undefined);
    expect(own.mask).toEqual({ id: 47, origin: 'its own' });
    expect(() => startFromFolder(copyOfFixture('llama-tidar'), SETTINGS, 5)).toThrow(/is 47/);
    expect(() => startFromFolder(folder, SETTINGS, 60)).toThrow(/--mask-token is 60/);
    expect(startFromFolder(folder, SETTINGS, 7).mask.id).toBe(7);
  });

  it('takes a mask token that no text holds: the tokenizer’s, a reserved one, a row without a token, a new row', () => {
    expect(chooseMaskToken(50, tokenizerJson(40, ['<|end|>', '<|mask|>'])).id).toBe(41);
    expect(chooseMaskToken(50, tokenizerJson(40, ['<|a|>', '<|reserved_special_token_0|>'])).id).toBe(41);
    expect(chooseMaskToken(50, tokenizerJson(40, ['<|end|>'])).id).toBe(41);
    expect(chooseMaskToken(41, tokenizerJson(40, ['<|end|>'])).id).toBe(41);
    expect(chooseMaskToken(41, undefined).id).toBe(41);
  });

  it('turns an AR model trained here into a TiDAR one: its AR loss stays, the diffusion loss falls', async () => {
    const folder = temporaryFolder();
    const file = countingFile(folder);
    const arOnly = { ...SETTINGS, arOnly: true, numSteps: 120 };
    const tokens = { vocabSize: 24, bosTokenId: 1, eosTokenId: 2, maskTokenId: 3 };
    const ar = await Trainer.open(initialCheckpoint(SIZE, tokens, arOnly), { numThreads: 1 });
    const sampler = new SequenceSampler(file, arOnly);
    while (ar.numStepsDone < 120) await ar.step(sampler);
    const trained = await ar.evaluate(sampler, 2);
    const arFolder = temporaryFolder();
    exportModel(ar.checkpoint(), folder, arFolder);
    await ar.dispose();
    changeJson(path.join(arFolder, 'config.json'), { tidar: undefined });

    const settings = { ...SETTINGS, numSteps: 150 };
    const start = startFromFolder(arFolder, settings, undefined).load();
    const trainer = await Trainer.open(start, { numThreads: 1 });
    const heldOut = new SequenceSampler(file, settings);
    const converted = await trainer.evaluate(heldOut, 2);
    expect(Math.abs(converted.arLoss - trained.arLoss)).toBeLessThan(0.05);
    while (trainer.numStepsDone < settings.numSteps) await trainer.step(heldOut);
    const after = await trainer.evaluate(heldOut, 2);
    const tidarFolder = temporaryFolder();
    exportModel(trainer.checkpoint(), folder, tidarFolder);
    await trainer.dispose();
    expect(after.diffusionLoss!).toBeLessThan(converted.diffusionLoss! * 0.75);
    expect(after.arLoss).toBeLessThan(trained.arLoss + 0.1);
    expect(loadModelFolder(tidarFolder).config.tidar).toEqual({ maskTokenId: 24, blockSize: 8 });
  });

  it.each(['float32', 'float16', 'bfloat16'])('exports %s, rounded to nearest', (dtype) => {
    const folder = plainFolder('llama-tidar');
    const start = startFromFolder(folder, SETTINGS, undefined).load();
    const exported = temporaryFolder();
    exportModel({ ...start, configJson: { ...start.configJson, torch_dtype: dtype } }, folder, exported);
    const again = startFromFolder(exported, SETTINGS, undefined).load();
    // Half of the last place: bfloat16 has 8 bits, float16 has 11, and near 0 a smallest step of 2^-24.
    const share = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8 }[dtype]!;
    for (const [name, { data }] of start.tensors) {
      again.tensors.get(name)!.data.forEach((value, at) => {
        const error = Math.abs(value - data[at]!);
        expect(error).toBeLessThanOrEqual(Math.abs(data[at]!) * share + (dtype === 'float16' ? 2 ** -25 : 0));
      });
    }
  });

  it('refuses, with numbers, what can’t fit', () => {
    const folder = plainFolder('llama-tidar');
    const { config } = startFromFolder(folder, SETTINGS, undefined);
    const plan = planMemory(config, SETTINGS);
    const numWeights = [...loadModelFolder(folder).tensors.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((size, dim) => size * dim, 1),
      0,
    );
    // The new row, and a head that is not tied has one too.
    const newRows = (config.tieWordEmbeddings ? 1 : 2) * config.hiddenSize;
    expect(plan.numParameters).toBe(numWeights + newRows);
    expect(plan.stateBytes).toBe(24 * plan.numParameters);
    const longer = planMemory(config, { ...SETTINGS, batchSize: 4 });
    expect(longer.stepBytes).toBeGreaterThan(1.5 * plan.stepBytes);
    expect(longer.stepBytes).toBeLessThan(2.5 * plan.stepBytes);
    const needed = plan.stateBytes + plan.stepBytes + 3e8;
    expect(() => assertFits(plan, needed)).not.toThrow();
    expect(() => assertFits(plan, needed - 1)).toThrow(/GB in all, and .* GB are free/);
  });
});
