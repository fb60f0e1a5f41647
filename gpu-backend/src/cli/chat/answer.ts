import { tokensPerForward } from '../statistics.ts';
import type { Pass, Piece } from './api.ts';

/** An answer with all that its stream told of it. */
export interface Answer {
  readonly text: string;
  readonly passes: readonly Pass[];
  readonly seed: string | undefined;
  /** Undefined: it was stopped before its end. */
  readonly finishReason: string | undefined;
  readonly seconds: number;
}

/** Reads an answer and shows each piece with the number of its pass. Where `signal` stops it, what there is of it. */
export async function readAnswer(
  pieces: AsyncIterable<Piece>,
  show: (text: string, pass: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const startedMs = performance.now();
  const passes: Pass[] = [];
  let text = '';
  let seed: string | undefined;
  let finishReason: string | undefined;
  try {
    for await (const piece of pieces) {
      if (piece.pass !== undefined) passes.push(piece.pass);
      if (piece.text !== '') show(piece.text, Math.max(0, passes.length - 1));
      text += piece.text;
      seed ??= piece.seed;
      finishReason ??= piece.finishReason;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return { text, passes, seed, finishReason, seconds: (performance.now() - startedMs) / 1000 };
}

export interface Numbers {
  readonly numTokens: number;
  readonly numPasses: number;
  readonly tokensPerForward: number;
  /** While the passes after prefill ran, by the backend's clock. */
  readonly tokensPerSecond: number;
  readonly rowsPerPass: number;
  /** As its passes name it. */
  readonly plan: string;
}

/** What an answer took; prefill's pass gives the first token and is no decoding. */
export function numbersOf({ passes }: Answer): Numbers {
  const decoding = passes.slice(1);
  const sum = (of: readonly Pass[], value: (pass: Pass) => number): number =>
    of.reduce((total, pass) => total + value(pass), 0);
  const numRuns = sum(decoding, (pass) => pass.passes ?? 1);
  const numTokens = sum(passes, (pass) => pass.token_ids.length);
  const numDecoded = sum(decoding, (pass) => pass.token_ids.length);
  const milliseconds = sum(decoding, (pass) => pass.milliseconds + (pass.draft_milliseconds ?? 0));
  return {
    numTokens,
    numPasses: passes.length === 0 ? 0 : numRuns + 1,
    tokensPerForward: tokensPerForward(numDecoded + 1, numRuns + 1),
    tokensPerSecond: milliseconds > 0 ? (1000 * numDecoded) / milliseconds : 0,
    rowsPerPass: numRuns > 0 ? sum(decoding, (pass) => pass.rows) / numRuns : 0,
    plan: [...new Set(decoding.map(({ plan }) => plan))].join(', '),
  };
}

/** An answer's numbers in one line. */
export function statisticsLine(answer: Answer): string {
  const { numTokens, numPasses, plan, ...rates } = numbersOf(answer);
  if (numPasses === 0) return `${answer.seconds.toFixed(2)} s; the endpoint told nothing of its passes`;
  const parts = [
    `${numTokens} tokens in ${numPasses} passes`,
    `${rates.tokensPerForward.toFixed(2)} tokens/forward`,
    `${rates.tokensPerSecond.toFixed(0)} tokens/s`,
    `${rates.rowsPerPass.toFixed(1)} rows/pass`,
    ...(plan === '' ? [] : [`plan ${plan}`]),
    `${answer.seconds.toFixed(2)} s`,
  ];
  return parts.join(' · ');
}

/** Whether two texts are the same, in words; where not, after how many characters they part. */
export function comparison(one: string, other: string): string {
  if (one === other) return `same text, ${one.length} characters`;
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return `DIFFERENT TEXTS after ${length} characters`;
}
