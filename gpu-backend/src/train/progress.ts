import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Losses, StepResult } from './trainer.ts';

const BAR_WIDTH = 24;

/** One line of a run's log.jsonl. */
export interface LogLine {
  readonly step: number;
  readonly arLoss: number;
  readonly diffusionLoss?: number;
  readonly distillationLoss?: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  /** Clean tokens seen so far. */
  readonly tokens: number;
  readonly seconds: number;
  readonly validArLoss?: number;
  readonly validDiffusionLoss?: number;
}

/** Shows a bar with tokens/s and time left on a terminal, plain lines elsewhere, and keeps log.jsonl. */
export class Progress {
  readonly #logPath: string;
  readonly #numSteps: number;
  readonly #tokensPerStep: number;
  readonly #startedAt = performance.now();
  readonly #firstStep: number;

  constructor(folder: string, options: { firstStep: number; numSteps: number; tokensPerStep: number }) {
    mkdirSync(folder, { recursive: true });
    this.#logPath = path.join(folder, 'log.jsonl');
    forgetAfter(this.#logPath, options.firstStep);
    this.#firstStep = options.firstStep;
    this.#numSteps = options.numSteps;
    this.#tokensPerStep = options.tokensPerStep;
  }

  /** `numDone` counts this step. `valid`: held-out losses, where they were just measured. */
  report(numDone: number, result: StepResult, valid?: Losses): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const line: LogLine = {
      step: numDone,
      arLoss: round(result.arLoss),
      ...(result.diffusionLoss === undefined ? {} : { diffusionLoss: round(result.diffusionLoss) }),
      ...(result.distillationLoss === undefined ? {} : { distillationLoss: round(result.distillationLoss) }),
      learningRate: result.learningRate,
      gradientNorm: round(result.gradientNorm),
      tokens: numDone * this.#tokensPerStep,
      seconds: round(seconds),
      ...(valid === undefined ? {} : { validArLoss: round(valid.arLoss) }),
      ...(valid?.diffusionLoss === undefined ? {} : { validDiffusionLoss: round(valid.diffusionLoss) }),
    };
    appendFileSync(this.#logPath, `${JSON.stringify(line)}\n`);
    this.#show(line);
  }

  #show(line: LogLine): void {
    const numTimed = line.step - this.#firstStep;
    const rate = (numTimed * this.#tokensPerStep) / line.seconds;
    const secondsLeft = ((this.#numSteps - line.step) * line.seconds) / numTimed;
    const filled = Math.round((BAR_WIDTH * line.step) / this.#numSteps);
    const bar = '█'.repeat(filled).padEnd(BAR_WIDTH, '·');
    const losses = [
      `ar ${line.arLoss.toFixed(3)}`,
      ...(line.diffusionLoss === undefined ? [] : [`diffusion ${line.diffusionLoss.toFixed(3)}`]),
      ...(line.validArLoss === undefined ? [] : [`held-out ar ${line.validArLoss.toFixed(3)}`]),
      ...(line.validDiffusionLoss === undefined ? [] : [`diffusion ${line.validDiffusionLoss.toFixed(3)}`]),
    ].join(' ');
    const text = `${bar} ${line.step}/${this.#numSteps} ${losses} ${Math.round(rate)} tokens/s, ${timeLeft(secondsLeft)} left`;
    const keepsLine = line.validArLoss !== undefined || line.step === this.#numSteps;
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[2K${text}${keepsLine ? '\n' : ''}`);
    else if (keepsLine || line.step % 50 === 0) process.stdout.write(`${text}\n`);
  }
}

/**
 * A run that was killed goes on from its last checkpoint: what the log has of later steps, or half a line, is dropped,
 * so that each step stands there once.
 */
function forgetAfter(logPath: string, step: number): void {
  if (!existsSync(logPath)) return;
  const text = readFileSync(logPath, 'utf8');
  const lines = text.split('\n').filter((line) => {
    const found = /^\{"step":(\d+),.*\}$/.exec(line)?.[1];
    return found !== undefined && Number(found) <= step;
  });
  const kept = lines.map((line) => `${line}\n`).join('');
  if (kept === text) return;
  writeFileSync(`${logPath}.tmp`, kept);
  renameSync(`${logPath}.tmp`, logPath);
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

function timeLeft(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}
