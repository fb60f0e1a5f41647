import { existsSync } from 'node:fs';
import path from 'node:path';
import { checkpointConfig, saveCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { exportDtype, exportedBytes, exportModel } from './export.ts';
import { assertFits, describeMemory, planMemory } from './memory.ts';
import { Progress } from './progress.ts';
import { SequenceSampler } from './sampler.ts';
import { assertIdsBelow, openTokenText } from './token-text.ts';
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
  const { settings, configJson } = checkpoint;
  const plan = planMemory(checkpointConfig(checkpoint), settings);
  assertFits(plan, process.availableMemory());
  const exported = (exportedBytes(plan.numParameters, configJson) / 1e6).toFixed(1);
  console.log(`${describeMemory(plan)}; exported ${exportDtype(configJson)}, ${exported} MB.`);
  const text = openTokenText(options.dataFolder, 'train');
  assertIdsBelow(text, checkpointConfig(checkpoint).vocabSize, options.dataFolder);
  const training = new SequenceSampler(text, settings);
  // The same held-out text for every run, whatever its seed.
  const heldOut = new SequenceSampler(openTokenText(options.dataFolder, 'valid'), {
    ...settings,
    seed: 0,
  });
  const progress = new Progress(options.runFolder, {
    firstStep: checkpoint.step,
    numSteps: settings.numSteps,
    tokensPerStep: settings.batchSize * settings.numTokens,
  });
  const trainer = await Trainer.open(checkpoint, { numThreads: options.numThreads, takesOver: true });
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
  const state = trainer.state();
  saveCheckpoint(options.runFolder, state);
  // A run from a model folder keeps that folder's tokenizer.
  const isOwn = existsSync(path.join(options.runFolder, 'tokenizer.json'));
  const tokenizerFolder = isOwn ? options.runFolder : options.dataFolder;
  exportModel(state, tokenizerFolder, path.join(options.runFolder, 'model'));
}
