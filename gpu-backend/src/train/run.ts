import path from 'node:path';
import { openTokenFile } from '../data/token-file.ts';
import { saveCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { exportModel } from './export.ts';
import { Progress } from './progress.ts';
import { SequenceSampler } from './sampler.ts';
import { Trainer } from './trainer.ts';
import type { StepResult } from './trainer.ts';

export interface RunOptions {
  /** Holds train.bin, valid.bin and the tokenizer (npm run data). */
  readonly dataFolder: string;
  /** Receives checkpoints, log.jsonl and, at the end, model/. */
  readonly runFolder: string;
  readonly numThreads: number;
  readonly evaluateEvery: number;
  readonly numEvaluationBatches: number;
  readonly checkpointEvery: number;
  /** Told after each step how many are done. */
  readonly onStep?: (numStepsDone: number) => void;
}

/** Trains from `checkpoint` until the last step or an abort. Either way the state is saved and the model exported. */
export async function trainRun(
  checkpoint: Checkpoint,
  options: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  const { settings } = checkpoint;
  const training = new SequenceSampler(openTokenFile(path.join(options.dataFolder, 'train.bin')), settings);
  // The same held-out text for every run, whatever its seed.
  const heldOut = new SequenceSampler(openTokenFile(path.join(options.dataFolder, 'valid.bin')), {
    ...settings,
    seed: 0,
  });
  const progress = new Progress(options.runFolder, {
    firstStep: checkpoint.step,
    numSteps: settings.numSteps,
    tokensPerStep: settings.batchSize * settings.numTokens,
  });
  const trainer = await Trainer.open(checkpoint, { numThreads: options.numThreads });
  try {
    while (trainer.numStepsDone < settings.numSteps && !signal.aborted) {
      const result = await trainer.step(training);
      await report(trainer, heldOut, progress, result, options);
      if (trainer.numStepsDone % options.checkpointEvery === 0) save(trainer, options);
      options.onStep?.(trainer.numStepsDone);
      // A run blocks the thread; without a pause no signal would be heard.
      await new Promise(setImmediate);
    }
    save(trainer, options);
    if (signal.aborted)
      console.log(`\nSaved at step ${trainer.numStepsDone}; the same command goes on from there.`);
  } finally {
    await trainer.dispose();
  }
}

async function report(
  trainer: Trainer,
  heldOut: SequenceSampler,
  progress: Progress,
  result: StepResult,
  options: RunOptions,
): Promise<void> {
  const numDone = trainer.numStepsDone;
  const evaluates = numDone % options.evaluateEvery === 0 || numDone === trainer.settings.numSteps;
  const valid = evaluates ? await trainer.evaluate(heldOut, options.numEvaluationBatches) : undefined;
  progress.report(numDone, result, valid);
  if (!Number.isFinite(result.arLoss)) throw new Error(`the loss is ${result.arLoss} at step ${numDone}`);
}

function save(trainer: Trainer, options: RunOptions): void {
  const checkpoint = trainer.checkpoint();
  saveCheckpoint(options.runFolder, checkpoint);
  exportModel(checkpoint, options.dataFolder, path.join(options.runFolder, 'model'));
}
