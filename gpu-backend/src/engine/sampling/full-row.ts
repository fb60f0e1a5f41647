import { gumbelFromWord, noiseCeiling } from '@tidar/shared/noise.ts';
import type { KeyedNoise } from '@tidar/shared/noise.ts';
import { scanRow } from './best-two.ts';
import type { BestTwo } from './best-two.ts';
import type { Processors } from './processors.ts';
import { REMOVED } from './row.ts';
import { isGreedy } from './settings.ts';
import type { Row, Sampling } from './settings.ts';
import { keepMinP, Truncation } from './truncation.ts';

/** What rows of one vocabulary are worked on in: draws are made one at a time, so that all of them share it. */
interface Workspace {
  readonly scores: Float64Array;
  readonly truncation: Truncation;
}

const workspaces = new Map<number, Workspace>();

function workspaceFor(vocabSize: number): Workspace {
  let workspace = workspaces.get(vocabSize);
  if (workspace === undefined) {
    workspace = { scores: new Float64Array(vocabSize), truncation: new Truncation(vocabSize) };
    workspaces.set(vocabSize, workspace);
  }
  return workspace;
}

export interface RowContext {
  readonly sampling: Sampling;
  readonly noise: KeyedNoise;
  /** Prepared for the row. */
  readonly processors: Processors;
}

/** The keyed draw over a whole row: bias → penalties → grammar, min tokens → temperature → top-k, -p, min-p → noise. */
export function drawFromFullRow(row: Row, position: number, context: RowContext, into: BestTwo): void {
  const { sampling, processors } = context;
  scanRow(row, into);
  if (isGreedy(sampling) && processors.keepRow) return;
  const { scores, truncation } = workspaceFor(row.length);
  scores.set(row);
  processors.apply(scores);
  if (isGreedy(sampling)) {
    highestTwo(scores, into);
    return;
  }
  for (let id = 0; id < scores.length; id++) scores[id] = (scores[id] ?? REMOVED) / sampling.temperature;
  truncation.keepTopK(scores, sampling.topK);
  truncation.keepTopP(scores, sampling.topP);
  keepMinP(scores, sampling.minP);
  if (!processors.keepRow) highestTwo(scores, into);
  highestTwoWithNoise(scores, context.noise.words(position), into);
}

function highestTwo(scores: Float64Array, into: BestTwo): void {
  into.clear();
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > into.secondScore) into.add(id, score);
  }
}

/**
 * `into` holds the row's two highest scores; they set the bar high for the others. Logarithms are taken only for
 * tokens whose highest possible sum reaches the second best so far.
 */
function highestTwoWithNoise(scores: Float64Array, words: Uint32Array, into: BestTwo): void {
  const { best, secondBest } = into;
  into.clear();
  for (const id of [best, secondBest])
    if (id >= 0) into.add(id, (scores[id] ?? REMOVED) + gumbelFromWord(words[id] ?? 0));
  let bar = into.secondScore;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    const word = words[id] ?? 0;
    if (score + noiseCeiling(word) < bar || id === best || id === secondBest) continue;
    into.add(id, score + gumbelFromWord(word));
    bar = into.secondScore;
  }
}
