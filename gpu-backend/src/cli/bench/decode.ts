import type { Sampling } from '../../engine/sampling/settings.ts';
import { outcomeAt } from './acceptance-trace.ts';
import { ceilingMs } from './ceiling.ts';
import type { KnownText } from './ceiling.ts';
import { sum } from './command.ts';
import type { Precision, Progress } from './command.ts';
import {
  decodeContenders,
  PLANNER_WARM_UP_PASSES,
  SAME_LAW,
  SINGLE_ROW,
  WARM_UP_SHARE,
} from './contenders.ts';
import type { EngineContender } from './contenders.ts';
import { ratioInterval, repeatUntil, turns } from './interval.ts';
import type { Interval, Repeated } from './interval.ts';
import { recordAcceptance } from './record-acceptance.ts';
import type { Prompts } from './rounds.ts';
import { SlotCurve } from './slot-curve.ts';
import type { SlotPoint } from './slot-curve.ts';
import type { Measured, Subject } from './subject.ts';
import { decodeText } from './texts.ts';
import type { TextRun } from './texts.ts';

export interface DecodeOptions extends Precision {
  readonly prompts: Prompts;
  readonly draftLengths: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly trace?: Subject['trace'];
  readonly onProgress?: Progress;
}

/** One contender's part. Times and rates are those after prefill, but where they say otherwise. */
export interface DecoderResult {
  readonly name: string;
  readonly tokensPerSecond: number;
  readonly tokensPerSecondWithPrefill: number;
  readonly tokensPerForward: number;
  /** The average of a pass. */
  readonly rowsPerForward: number;
  readonly msPerForward: number;
  /** Tokens/s ÷ those of plain decoding as others run it, round by round. */
  readonly speedup: Interval;
  readonly speedupWithPrefill: Interval;
  /** Share of the time that was not spent in the device's run. */
  readonly shareOutside: number;
  /** Of the text's tokens in the causal rows; undefined for replayed text, which means nothing. */
  readonly natsPerToken: number | undefined;
  /** Tokens/s that its tokens per forward would give if a pass cost what the slot curve says, ÷ the same AR. */
  readonly slotCurveSpeedup: number;
}

export interface DecodeResult {
  readonly contenders: readonly DecoderResult[];
  readonly numRounds: number;
  readonly stoppedBy: Repeated<unknown>['stoppedBy'];
  /** Texts that one row decodes otherwise than two: near-ties. */
  readonly numTexts: number;
  readonly numOtherTexts: number;
  readonly slotCurve: readonly SlotPoint[];
  readonly numColumns: number;
  /** ÷ plain decoding as others run it, as measured; undefined where drafts' fate is not known (sampled text). */
  readonly ceiling: number | undefined;
  readonly lastLine: string;
}

/** [contender][prompt] */
type Round = readonly (readonly TextRun[])[];

/**
 * Decodes the same prompts with every contender, taking turns prompt by prompt, so that whatever else the machine does
 * falls on all of them. Throws if tokens differ that must not.
 */
export async function benchDecode(
  law: Measured,
  singleRow: Measured,
  options: DecodeOptions,
): Promise<DecodeResult> {
  const { prompts, trace, onProgress = () => undefined } = options;
  const contenders = await decodeContenders(law, singleRow, options.draftLengths);
  const curve = new SlotCurve(law, singleRow);
  try {
    // Warms up, teaches the planner, and tells the texts' probabilities.
    const first = await measureRound(contenders, options, 0, trace === undefined);
    const numColumns = law.timed.capacity;
    await curve.measure(numColumns);
    await warmUp(contenders.at(-1), options);
    const repeated = await repeatUntil(
      async (round) => {
        onProgress(`round ${round + 1}`);
        await curve.measure(numColumns);
        return measureRound(contenders, options, round, false);
      },
      (rounds) => contenders.map((_, at) => speedup(rounds, at, (one) => one.decodeMs)),
      options,
    );
    const rounds = repeated.samples;
    const results = contenders.map(({ name }, at) => summarize(name, at, rounds, first, curve));
    const texts = first[1] ?? [];
    const known = await knownTexts(law, options, texts);
    return {
      contenders: results,
      numRounds: rounds.length,
      stoppedBy: repeated.stoppedBy,
      numTexts: prompts.length,
      numOtherTexts: texts.filter((text, at) => !isSameText(text, first[0]?.[at])).length,
      slotCurve: curve.points,
      numColumns,
      ceiling: known && ceilingSpeedup(known, law, curve, results[0]?.tokensPerSecond ?? NaN),
      lastLine: lastLine(results, options.draftLengths),
    };
  } finally {
    curve.dispose();
    for (const { engine } of contenders) engine.dispose();
  }
}

async function measureRound(
  contenders: readonly EngineContender[],
  { prompts, maxTokens, sampling }: DecodeOptions,
  round: number,
  tellsLogprobs: boolean,
): Promise<Round> {
  const runs = contenders.map((): TextRun[] => []);
  for (const [index, promptIds] of prompts.entries()) {
    for (const turn of turns(contenders.length, round + index)) {
      const contender = contenders[turn];
      if (contender === undefined) continue;
      const { engine, timed, decoder } = contender;
      const logprobs = tellsLogprobs ? 0 : undefined;
      const options = { promptIds, maxTokens, decoder, sampling, stopTokenIds: [], logprobs };
      runs[turn]?.push(await decodeText(engine, timed, options));
    }
    assertSameText(contenders, runs, index);
  }
  return runs;
}

/** Lets auto's planner settle. */
async function warmUp(
  auto: EngineContender | undefined,
  { prompts, maxTokens, sampling, timeLimitMs, onProgress }: DecodeOptions,
): Promise<void> {
  if (auto === undefined) return;
  const { engine, timed, decoder } = auto;
  const endsAt = performance.now() + WARM_UP_SHARE * timeLimitMs;
  onProgress?.('warming up');
  for (let at = 0, numPasses = 0; numPasses < PLANNER_WARM_UP_PASSES && performance.now() < endsAt; at++) {
    const promptIds = prompts[at % prompts.length] ?? [];
    const options = { promptIds, maxTokens, decoder, sampling, stopTokenIds: [] };
    numPasses += 1 + (await decodeText(engine, timed, options)).numPasses;
  }
}

/** One row has sums of its own and may decide otherwise where two tokens nearly tie; nobody else may. */
function assertSameText(contenders: readonly EngineContender[], runs: Round, index: number): void {
  const expected = runs[1]?.[index];
  contenders.forEach(({ name }, at) => {
    const text = runs[at]?.[index];
    if (name === SINGLE_ROW || isSameText(text, expected)) return;
    const [got, wanted] = [text?.tokenIds.join(), expected?.tokenIds.join()];
    throw new Error(`${name} gave other tokens than plain decoding (${SAME_LAW}): ${got}; ${wanted}`);
  });
}

function isSameText(one: TextRun | undefined, other: TextRun | undefined): boolean {
  return one?.tokenIds.join() === other?.tokenIds.join();
}

const numDecoded = ({ tokenIds }: TextRun): number => tokenIds.length - 1;

function speedup(rounds: readonly Round[], at: number, ms: (text: TextRun) => number): Interval {
  const rates = (contender: number): number[] =>
    rounds.map((round) => sum(round[contender] ?? [], numDecoded) / sum(round[contender] ?? [], ms));
  return ratioInterval(rates(at), rates(0));
}

const wholeMs = ({ prefillMs, decodeMs }: TextRun): number => prefillMs + decodeMs;

function summarize(
  name: string,
  at: number,
  rounds: readonly Round[],
  first: Round,
  curve: SlotCurve,
): DecoderResult {
  const all = rounds.flatMap((round) => round[at] ?? []);
  const numTokens = sum(all, (one) => one.tokenIds.length);
  const numPasses = sum(all, (one) => one.numPasses);
  const decodeMs = sum(all, (one) => one.decodeMs);
  const rowsPerForward = sum(all, (one) => one.numRows) / numPasses;
  const tokensPerForward = sum(all, numDecoded) / numPasses;
  const told = first[at] ?? [];
  const nats = -sum(told, (one) => one.logprob) / sum(told, (one) => one.tokenIds.length);
  const single = rounds.flatMap((round) => round[0] ?? []);
  const singleMsPerToken = sum(single, (one) => one.decodeMs) / sum(single, numDecoded);
  const passMs = rowsPerForward < 2 ? (curve.points[0]?.milliseconds ?? NaN) : curve.cost()(rowsPerForward);
  return {
    name,
    tokensPerSecond: (1000 * sum(all, numDecoded)) / decodeMs,
    tokensPerSecondWithPrefill: (1000 * numTokens) / sum(all, wholeMs),
    tokensPerForward,
    rowsPerForward,
    msPerForward: decodeMs / numPasses,
    speedup: speedup(rounds, at, (one) => one.decodeMs),
    speedupWithPrefill: speedup(rounds, at, wholeMs),
    shareOutside: 1 - sum(all, (one) => one.graphMs) / decodeMs,
    natsPerToken: Number.isNaN(nats) ? undefined : nats,
    slotCurveSpeedup: (tokensPerForward * singleMsPerToken) / passMs,
  };
}

/** How every block of masks fares on the texts: replayed, or recorded now; sampled text is not known so. */
async function knownTexts(
  law: Measured,
  { prompts, maxTokens, sampling, trace }: DecodeOptions,
  texts: readonly TextRun[],
): Promise<KnownText[] | undefined> {
  if (sampling.temperature > 0) return undefined;
  const known: KnownText[] = [];
  for (const [at, prompt] of prompts.entries()) {
    const numTokens = texts[at]?.tokenIds.length ?? 0;
    if (trace !== undefined) {
      known.push({ numTokens, outcome: (start, depth) => outcomeAt(trace, prompt.length + start, depth) });
      continue;
    }
    const options = { prompts: [prompt], maxTokens, blockSize: blockSizeOf(law), source: '' };
    const recorded = await recordAcceptance(law.session, options);
    if (recorded.numStarts !== numTokens)
      throw new Error('the recorded text is not the one that was decoded');
    known.push({ numTokens, outcome: (start, depth) => outcomeAt(recorded, start, depth) });
  }
  return known;
}

function blockSizeOf({ session }: Measured): number {
  return session.config.tidar?.blockSize ?? 1;
}

function ceilingSpeedup(
  texts: readonly KnownText[],
  law: Measured,
  curve: SlotCurve,
  singleTokensPerSecond: number,
): number {
  const cost = curve.cost();
  const ms = sum(texts, (text) => ceilingMs(text, blockSizeOf(law), cost));
  const numTokens = sum(texts, (text) => text.numTokens - 1);
  return (1000 * numTokens) / ms / singleTokensPerSecond;
}

function lastLine(results: readonly DecoderResult[], draftLengths: readonly number[]): string {
  const byName = (name: string): DecoderResult | undefined => results.find((one) => one.name === name);
  const auto = byName('auto');
  const dense = draftLengths.flatMap((length) => byName(`dense ${length}`) ?? []);
  const ratio = auto?.speedup.median ?? NaN;
  const figures = [
    ['tidar/ar', ratio],
    ['t/nfe', dense.at(-1)?.tokensPerForward ?? NaN],
    ['plan/dense', (auto?.tokensPerSecond ?? NaN) / Math.max(...dense.map((one) => one.tokensPerSecond))],
    ['efficiency', ratio / (auto?.tokensPerForward ?? NaN)],
  ] as const;
  return figures.map(([name, value]) => `${name} ${value.toFixed(2)}`).join('  ');
}
