import { median, turns } from './interval.ts';

export type Prompts = readonly (readonly number[])[];

/** Texts of prompts, in their order, and how long all of them took together, prefill included. */
export interface DecodeRun {
  readonly tokens: readonly (readonly number[])[];
  readonly ms: number;
}

/** One way to decode, of those that take turns. */
export interface Contender {
  readonly name: string;
  readonly decode: (prompts: Prompts) => Promise<DecodeRun>;
}

export interface ContenderResult {
  readonly name: string;
  /** Median over rounds. */
  readonly tokensPerSecond: number;
  readonly tokensPerText: number;
}

/** By contender's name: tokens a second, and how long its texts were. */
export type Round = ReadonlyMap<string, { readonly rate: number; readonly tokensPerText: number }>;

/** Runs `batch` sequences at a time, the next one starting where one ends. */
export async function decodeConcurrently(
  prompts: Prompts,
  batch: number,
  decodeOne: (promptIds: readonly number[]) => Promise<readonly number[]>,
): Promise<DecodeRun> {
  const tokens: (readonly number[])[] = prompts.map(() => []);
  const queue = prompts.entries();
  const work = async (): Promise<void> => {
    for (const [index, prompt] of queue) tokens[index] = await decodeOne(prompt);
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: batch }, work));
  return { tokens, ms: performance.now() - startedAt };
}

/** The same prompts by every contender; who comes first changes from round to round. */
export async function measureRound(
  contenders: readonly Contender[],
  prompts: Prompts,
  round: number,
): Promise<Round> {
  const measured = new Map<string, { rate: number; tokensPerText: number }>();
  for (const turn of turns(contenders.length, round)) {
    const contender = contenders[turn];
    if (contender === undefined) continue;
    const { tokens, ms } = await contender.decode(prompts);
    const numTokens = tokens.reduce((sum, text) => sum + text.length, 0);
    measured.set(contender.name, { rate: (1000 * numTokens) / ms, tokensPerText: numTokens / tokens.length });
  }
  return measured;
}

/** A contender's tokens/s, round by round. */
export function ratesOf(rounds: readonly Round[], name: string): number[] {
  return rounds.map((round) => round.get(name)?.rate ?? NaN);
}

export function summarize(contenders: readonly Contender[], rounds: readonly Round[]): ContenderResult[] {
  return contenders.map(({ name }) => ({
    name,
    tokensPerSecond: median(ratesOf(rounds, name)),
    tokensPerText: median(rounds.map((round) => round.get(name)?.tokensPerText ?? NaN)),
  }));
}

/** The contender of the highest median. */
export function fastest<T extends Contender>(contenders: readonly T[], rounds: readonly Round[]): T {
  const speed = ({ name }: T): number => median(ratesOf(rounds, name));
  const [best] = contenders.toSorted((a, b) => speed(b) - speed(a));
  if (best === undefined) throw new RangeError('there is no contender');
  return best;
}

/** `numPrompts` of them, going on where the last round stopped. */
export function promptsOfRound(prompts: Prompts, numPrompts: number, round: number): Prompts {
  return Array.from({ length: numPrompts }, (_, index) => {
    return prompts[(round * numPrompts + index) % prompts.length] ?? [];
  });
}
