import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import type { TokenFile } from '../data/token-file.ts';
import { writeTokenFile } from '../data/token-file.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { exportModel } from './export.ts';
import { initialCheckpoint, restartedCheckpoint } from './initialize.ts';
import { trainRun } from './run.ts';
import { SequenceSampler } from './sampler.ts';
import { learningRateAt, modelSizeSchema, trainingSettingsSchema } from './settings.ts';
import { logitsOfBoth, worstDifference } from './testing.ts';
import { Trainer } from './trainer.ts';

const TOKENS = { vocabSize: 24, bosTokenId: 1, eosTokenId: 2, maskTokenId: 3 };
const SIZE = modelSizeSchema.parse({ hiddenSize: 16, numLayers: 2, intermediateSize: 24, maxPositions: 64 });
const SETTINGS = trainingSettingsSchema.parse({
  numSteps: 8,
  batchSize: 2,
  numTokens: 16,
  blockSizes: [4, 8],
  numWarmupSteps: 2,
  learningRate: 0.02,
});

/** Documents that count upwards in a cycle: learnable within a few steps. */
function countingFile(folder: string, name: string): TokenFile {
  const random = new Random(3);
  const documents = Array.from({ length: 60 }, () => {
    const first = random.integer(0, 15);
    return [1, ...Array.from({ length: random.integer(6, 20) }, (_, at) => 4 + ((first + at) % 16)), 2];
  });
  return writeTokenFile(path.join(folder, name), documents);
}

async function losses(trainer: Trainer, sampler: SequenceSampler, numSteps: number): Promise<number[]> {
  const found: number[] = [];
  for (let step = 0; step < numSteps; step += 1) {
    const result = await trainer.step(sampler);
    found.push(result.arLoss, result.diffusionLoss ?? 0, result.gradientNorm);
  }
  return found;
}

describe('training', () => {
  let folder = '';
  let file: TokenFile;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tidar-train-'));
    file = countingFile(folder, 'train.bin');
    countingFile(folder, 'valid.bin');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('resumes from a checkpoint file exactly: the same losses, to the last bit, as an unbroken run', async () => {
    const start = initialCheckpoint(SIZE, TOKENS, SETTINGS);
    const unbroken = await Trainer.open(start, { numThreads: 1 });
    const expected = await losses(unbroken, new SequenceSampler(file, SETTINGS), 8);
    await unbroken.dispose();

    const first = await Trainer.open(start, { numThreads: 1 });
    const before = await losses(first, new SequenceSampler(file, SETTINGS), 3);
    saveCheckpoint(folder, first.checkpoint());
    await first.dispose();
    const second = await Trainer.open(loadCheckpoint(folder), { numThreads: 1 });
    const after = await losses(second, new SequenceSampler(file, SETTINGS), 5);
    await second.dispose();
    expect([...before, ...after]).toEqual(expected);
  });

  it('saves at an abort, and the same command goes on to the end and lowers the loss', async () => {
    const options = {
      dataFolder: folder,
      runFolder: path.join(folder, 'run'),
      numThreads: 1,
      evaluateEvery: 4,
      numEvaluationBatches: 1,
      checkpointEvery: 100,
    };
    const settings = { ...SETTINGS, numSteps: 60 };
    const start = initialCheckpoint(SIZE, TOKENS, settings);
    const abort = new AbortController();
    const onStep = (numStepsDone: number): void => {
      if (numStepsDone === 7) abort.abort();
    };
    await trainRun(start, { ...options, onStep }, abort.signal);
    expect(loadCheckpoint(options.runFolder).step).toBe(7);
    // As after a kill: steps that no checkpoint holds, the last cut in its line.
    const log = path.join(options.runFolder, 'log.jsonl');
    appendFileSync(log, '{"step":8,"arLoss":1,"tokens":1}\n{"step":9,"arL');
    await trainRun(loadCheckpoint(options.runFolder), options, new AbortController().signal);
    const finished = loadCheckpoint(options.runFolder);
    expect(finished.step).toBe(60);
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    const steps = lines.map((line) => (JSON.parse(line) as { step: number }).step);
    expect(steps).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    const trainer = await Trainer.open(finished, { numThreads: 1 });
    const heldOut = await trainer.evaluate(new SequenceSampler(file, settings), 2);
    await trainer.dispose();
    const untrained = Math.log(TOKENS.vocabSize);
    expect(heldOut.arLoss).toBeLessThan(untrained / 2);
  });

  it('goes from an AR model to a TiDAR model and keeps its weights', async () => {
    const arOnly = { ...SETTINGS, arOnly: true };
    const ar = await Trainer.open(initialCheckpoint(SIZE, TOKENS, arOnly), { numThreads: 1 });
    await losses(ar, new SequenceSampler(file, arOnly), 4);
    const arLoss = await ar.evaluate(new SequenceSampler(file, arOnly), 1);
    const restarted = restartedCheckpoint(ar.checkpoint(), SETTINGS);
    const tidar = await Trainer.open(restarted, { numThreads: 1 });
    const both = await tidar.evaluate(new SequenceSampler(file, SETTINGS), 1);
    await Promise.all([ar.dispose(), tidar.dispose()]);
    expect(both.arLoss).toBeCloseTo(arLoss.arLoss, 5);
    expect(both.diffusionLoss).toBeGreaterThan(0);
  });

  it('goes on from another run’s weights with its moments or without, by a kept age of the moments', async () => {
    const start = initialCheckpoint(SIZE, TOKENS, SETTINGS);
    const parent = await Trainer.open(start, { numThreads: 1 });
    await losses(parent, new SequenceSampler(file, SETTINGS), 3);
    const sampler = new SequenceSampler(file, { ...SETTINGS, seed: 9 });
    const settings = trainingSettingsSchema.parse({ ...SETTINGS, seed: 9, schedule: 'constant' });
    const kept = restartedCheckpoint(parent.checkpoint(), settings, { keepsMoments: true });
    const reset = restartedCheckpoint(parent.checkpoint(), settings);
    expect(kept.momentsAge).toBe(3);
    expect(kept.tensors.size).toBe(3 * reset.tensors.size);
    const afterOne = async (checkpoint: typeof kept) => {
      const trainer = await Trainer.open(checkpoint, { numThreads: 1 });
      await trainer.step(sampler);
      const { tensors } = trainer.checkpoint();
      await trainer.dispose();
      return tensors;
    };
    // AdamW in float64 from the gradient that the fresh moments show: after one step m is (1 − β₁) · gradient.
    const [fromKept, fromReset] = [await afterOne(kept), await afterOne(reset)];
    const name = 'model.layers.1.mlp.up_proj.weight';
    const before = kept.tensors.get(name)!.data;
    const rate = learningRateAt(settings, 0);
    before.forEach((weight, at) => {
      const gradient = fromReset.get(`m.${name}`)!.data[at]! / 0.1;
      const m = 0.9 * kept.tensors.get(`m.${name}`)!.data[at]! + 0.1 * gradient;
      const v = 0.95 * kept.tensors.get(`v.${name}`)!.data[at]! + 0.05 * gradient ** 2;
      const step = m / (1 - 0.9 ** 4) / (Math.sqrt(v / (1 - 0.95 ** 4)) + 1e-8);
      expect(fromKept.get(name)!.data[at]).toBeCloseTo(weight - rate * (step + 0.1 * weight), 5);
    });
    await parent.dispose();
  });

  const LAYOUTS = [
    { blockSize: 8, blockOffset: 0 },
    { blockSize: 8, blockOffset: 3 },
    { blockSize: 4, blockOffset: 3 },
    { blockSize: 4, blockOffset: 1 },
    { blockSize: 4, blockOffset: 1, numMaskRows: 8 },
  ];
  it.each(LAYOUTS)(
    'trains what is served: both graphs give the same logits on clean and on mask rows (blocks of $blockSize from $blockOffset on)',
    async ({ blockSize, blockOffset, numMaskRows }) => {
      const settings = numMaskRows === undefined ? SETTINGS : { ...SETTINGS, numMaskRows };
      const checkpoint = initialCheckpoint(SIZE, TOKENS, settings);
      // Weights that fp16 holds exactly, so that the exported folder has the very same ones.
      for (const { data } of checkpoint.tensors.values()) data.set(Float32Array.from(data, Math.f16round));
      const modelFolder = path.join(folder, 'model');
      exportModel(checkpoint, folder, modelFolder);
      const { numTokens } = SETTINGS;
      const sequence = Array.from({ length: numTokens }, (_, at) => 4 + ((at * 7) % 20));
      const both = await logitsOfBoth(checkpoint, modelFolder, sequence, { blockSize, blockOffset });
      expect(worstDifference(both)).toBeLessThan(2e-5);
      expect(new Set(both.map(({ isMask, position }) => `${isMask} ${position}`)).size).toBe(
        numTokens + (numMaskRows ?? numTokens),
      );
    },
  );

  it('adapts mask rows alone, and serves the adapter that it exports', async () => {
    const settings = { ...SETTINGS, maskAdapterRank: 3 };
    const plain = initialCheckpoint(SIZE, TOKENS, SETTINGS);
    const trainer = await Trainer.open(restartedCheckpoint(plain, settings), { numThreads: 1 });
    const sampler = new SequenceSampler(file, settings);
    const fresh = await trainer.evaluate(sampler, 1);
    const base = await Trainer.open(plain, { numThreads: 1 });
    expect(fresh).toEqual(await base.evaluate(sampler, 1));
    await base.dispose();
    await losses(trainer, sampler, 5);
    const checkpoint = trainer.checkpoint();
    await trainer.dispose();
    for (const [name, { data }] of checkpoint.tensors)
      if (name.startsWith('adapter.')) expect(data.some((value) => value !== 0)).toBe(true);
    const exported = path.join(folder, 'adapted');
    const configJson = { ...checkpoint.configJson, torch_dtype: 'float32' };
    exportModel({ ...checkpoint, configJson }, folder, exported);
    const sequence = Array.from({ length: SETTINGS.numTokens }, (_, at) => 4 + ((at * 7) % 20));
    const layout = { blockSize: 4, blockOffset: 1 };
    const both = await logitsOfBoth(checkpoint, exported, sequence, layout);
    expect(worstDifference(both)).toBeLessThan(2e-5);
    // Without its adapter the model has the same clean rows, to the bit, and other mask rows.
    rmSync(path.join(exported, 'linear_spec_lora'), { recursive: true });
    const without = await logitsOfBoth(checkpoint, exported, sequence, layout);
    both.forEach(({ isMask, served }, row) => {
      if (isMask) expect(served).not.toEqual(without[row]!.served);
      else expect(served).toEqual(without[row]!.served);
    });
    expect(restartedCheckpoint(checkpoint, SETTINGS).tensors.size).toBe(plain.tensors.size);
  });

  it('visits every stretch of the file once an epoch, and any step’s batch is the same when asked first', () => {
    const settings = { ...SETTINGS, batchSize: 1 };
    const sampler = new SequenceSampler(file, settings);
    const starts: number[] = [];
    for (let step = 0; !starts.includes(sampler.batchAt(step)[0]!.byteOffset); step += 1) {
      starts.push(sampler.batchAt(step)[0]!.byteOffset);
    }
    const numStretches = Math.floor(file.ids.length / settings.numTokens);
    expect(starts.length).toBeGreaterThan(numStretches - 2);
    expect(new SequenceSampler(file, settings).batchAt(5)).toEqual(sampler.batchAt(5));
    // From a document's start, or, where a document goes on for a whole stretch, from that stretch's.
    const { numTokens } = settings;
    const isStart = (at: number): boolean => file.documentStarts.includes(at);
    for (const at of starts.map((byte) => byte / 2)) {
      const stretch = at - (at % numTokens);
      const inside = Array.from({ length: numTokens }, (_, offset) => stretch + offset).filter(isStart);
      expect(at).toBe(inside[0] ?? stretch);
    }
    expect(starts.filter((byte) => isStart(byte / 2)).length).toBeGreaterThan(numStretches * 0.7);
  });

  it('draws block offsets that all occur, each below its step’s block size', () => {
    const aligned = new SequenceSampler(file, SETTINGS);
    const sampler = new SequenceSampler(file, { ...SETTINGS, blockStarts: 'random' });
    const seen = new Set<string>();
    for (let step = 0; step < 300; step += 1) {
      const [size, offset] = [sampler.blockSizeAt(step), sampler.blockOffsetAt(step)];
      expect(aligned.blockOffsetAt(step)).toBe(0);
      expect(offset).toBeLessThan(size);
      seen.add(`${size} ${offset}`);
    }
    expect(seen.size).toBe(4 + 8);
  });

  it('learns from fewer mask rows too, and measures held-out losses over all', async () => {
    const settings = trainingSettingsSchema.parse({
      ...SETTINGS,
      numSteps: 200,
      numMaskRows: 8,
      blockStarts: 'random',
    });
    const trainer = await Trainer.open(initialCheckpoint(SIZE, TOKENS, settings), { numThreads: 1 });
    const sampler = new SequenceSampler(file, settings);
    const whole = await Trainer.open(initialCheckpoint(SIZE, TOKENS, SETTINGS), { numThreads: 1 });
    const before = await trainer.evaluate(sampler, 2);
    expect(before).toEqual(await whole.evaluate(sampler, 2));
    await losses(trainer, sampler, 200);
    const after = await trainer.evaluate(sampler, 2);
    await Promise.all([trainer.dispose(), whole.dispose()]);
    expect(after.diffusionLoss!).toBeLessThan(before.diffusionLoss! * 0.9);
    expect(after.arLoss).toBeLessThan(before.arLoss * 0.5);
  });
});
