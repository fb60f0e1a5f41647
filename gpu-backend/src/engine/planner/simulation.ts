import type { Draft, DraftOrigin } from '../sequence.ts';
import { matchOutcome } from '../plan.ts';
import type { Plan } from '../plan.ts';
import { numBlockRows } from '../layout.ts';
import type { RecordedBlock } from './recording.ts';

/** A text to be decoded, and what a block drafts at every place of it. */
export interface SimulatedText {
  readonly numTokens: number;
  /** See recording.ts. */
  block(numKnownTokens: number): RecordedBlock;
}

export const END_TOKEN_ID = 1;
const WRONG_TOKEN_ID = 2;
const OTHER_WRONG_TOKEN_ID = 3;
const FIRST_TEXT_TOKEN_ID = 10;

/** One sequence between steps; the prompt's own pass has decided its first token and drafted a block. */
export class SimulatedSequence {
  readonly text: SimulatedText;
  readonly maxMaskTokens: number;
  numDecided = 1;
  drafts: readonly Draft[];
  origin: DraftOrigin = 'full';

  constructor(text: SimulatedText, maxMaskTokens: number) {
    this.text = text;
    this.maxMaskTokens = maxMaskTokens;
    this.drafts = this.#drafts(0, maxMaskTokens - 1);
  }

  get numRemainingTokens(): number {
    return this.text.numTokens - this.numDecided;
  }

  /** Verifies and drafts as the engine does; returns the tokens decided. */
  step(plan: Plan): number[] {
    const decided: number[] = [];
    while (decided.length < plan.numDraftRows && decided.length < this.numRemainingTokens) {
      const tokenId = this.#token(this.numDecided + decided.length);
      decided.push(tokenId);
      if (this.drafts[decided.length - 1]?.tokenId !== tokenId) break;
    }
    const accepted = decided.length;
    const hasAgreed = this.drafts[accepted - 1]?.tokenId === decided.at(-1);
    const outcome = plan.outcomes[matchOutcome(plan, accepted, decided.at(-1) ?? -1)];
    const numKnown = this.numDecided - 1 + accepted;
    this.numDecided += accepted;
    if (outcome === undefined) {
      this.drafts = hasAgreed ? this.drafts.slice(accepted) : [];
    } else if (outcome.correction === undefined) {
      this.drafts = this.#drafts(numKnown, outcome.numMaskTokens - 1);
      this.origin = accepted === plan.numDraftRows ? 'full' : 'blind';
    } else {
      this.drafts = this.#correctedDrafts(numKnown, outcome.numMaskTokens);
      this.origin = 'corrected';
    }
    return decided;
  }

  /** The correction's causal row predicts what the text's own row will: so its draft is sure. */
  #correctedDrafts(numKnown: number, numMaskTokens: number): Draft[] {
    const first = { tokenId: this.#token(numKnown + 1), secondBest: WRONG_TOKEN_ID, margin: 20 };
    return [first, ...this.#drafts(numKnown + 1, numMaskTokens - 1)];
  }

  #drafts(numKnown: number, numDrafts: number): Draft[] {
    const { margins, hits, end } = this.text.block(numKnown);
    return margins.slice(0, Math.max(0, numDrafts)).map((margin, index) => {
      const right = this.#token(numKnown + 1 + index);
      const wrong = index === end ? END_TOKEN_ID : WRONG_TOKEN_ID;
      const hit = hits[index];
      return {
        tokenId: hit === 1 ? right : wrong,
        secondBest: hit === 2 ? right : OTHER_WRONG_TOKEN_ID,
        margin,
      };
    });
  }

  #token(index: number): number {
    return index === this.text.numTokens - 1 ? END_TOKEN_ID : FIRST_TEXT_TOKEN_ID + index;
  }
}

export interface SimulationResult {
  readonly numTokens: number;
  readonly numSteps: number;
  /** Steps times the sequences in each: what plain decoding would take for as many tokens. */
  readonly numForwardPasses: number;
  readonly numRows: number;
  readonly milliseconds: number;
  readonly tokensPerSecond: number;
}

/** Whoever chooses the plans of a step, and learns from it. */
export interface SimulatedPolicy {
  start(sequence: SimulatedSequence): void;
  plan(sequences: readonly SimulatedSequence[]): Plan[];
  observe(sequence: SimulatedSequence, decided: readonly number[]): void;
  observeStep?(numRows: number, numSequences: number, milliseconds: number): void;
}

export interface SimulationOptions {
  readonly numSequences: number;
  readonly maxMaskTokens: number;
  readonly milliseconds: (numRows: number, numSequences: number) => number;
}

/** Decodes texts, so many at a time, the next one taking the place of one that ends. Prefill costs nothing here. */
export function simulate(
  texts: readonly SimulatedText[],
  policy: SimulatedPolicy,
  options: SimulationOptions,
): SimulationResult {
  const waiting = [...texts];
  const active: SimulatedSequence[] = [];
  let [numTokens, numSteps, numForwardPasses, numRows, milliseconds] = [0, 0, 0, 0, 0];
  for (;;) {
    while (active.length < options.numSequences && waiting.length > 0) {
      const text = waiting.shift();
      if (text === undefined || text.numTokens < 2) continue;
      active.push(new SimulatedSequence(text, options.maxMaskTokens));
      policy.start(active[active.length - 1] ?? raise());
    }
    if (active.length === 0) break;
    const plans = policy.plan(active);
    const rows = Math.max(
      2,
      plans.reduce((sum, plan) => sum + numPlanRows(plan), 0),
    );
    const stepMs = options.milliseconds(rows, active.length);
    active.forEach((sequence, at) => {
      const decided = sequence.step(plans[at] ?? raise());
      numTokens += decided.length;
      policy.observe(sequence, decided);
    });
    policy.observeStep?.(rows, active.length, stepMs);
    numSteps += 1;
    numForwardPasses += active.length;
    numRows += rows;
    milliseconds += stepMs;
    for (let at = active.length - 1; at >= 0; at--) {
      if ((active[at]?.numRemainingTokens ?? 0) <= 0) active.splice(at, 1);
    }
  }
  const tokensPerSecond = milliseconds > 0 ? (1000 * numTokens) / milliseconds : 0;
  return { numTokens, numSteps, numForwardPasses, numRows, milliseconds, tokensPerSecond };
}

export function numPlanRows(plan: Plan): number {
  return plan.outcomes.reduce((sum, outcome) => sum + numBlockRows(outcome), plan.numDraftRows);
}

function raise(): never {
  throw new RangeError('one plan for each sequence');
}
