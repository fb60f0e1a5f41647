import { generate } from '../../decode/generate.ts';
import type { GenerateOptions } from '../../decode/generate.ts';
import { measuredChooser } from '../../decode/planned-engine.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { Decoder } from '../../decode/decoder.ts';
import type { ModelSession } from '../../device/device.ts';
import type { Engine } from '../../engine/engine.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import type { TokenLogprob } from '../../engine/sampling/logprobs.ts';
import { shapeDifference } from './shape-difference.ts';
import type { Law, Parting } from './task.ts';

const MAX_DENSE = 8;
const TEMPERATURE = 0.8;

export interface LawOptions {
  readonly model: string;
  readonly prompts: readonly (readonly number[])[];
  readonly maxTokens: number;
  readonly timeLimitMs: number;
  /** What drafts by; `auto` measures the device first. */
  readonly plans: readonly ('dense' | 'auto')[];
}

/** Whether TiDAR's texts are plain decoding's on this device, for a model that has a diffusion mode. */
export async function checkLaw(session: ModelSession, options: LawOptions): Promise<Law> {
  const blockSize = session.config.tidar?.blockSize ?? 1;
  const chooser = options.plans.includes('auto') ? await measuredChooser(session, blockSize, 1) : undefined;
  const engine = soloEngine(session, chooser);
  const difference = await shapeDifference(session, await firstText(engine, options));
  const tolerance = 2 * difference;
  const draftLength = Math.min(MAX_DENSE, blockSize);
  const plans: Decoder[] = options.plans.map((plan) => {
    return { type: 'tidar', plan, draftLength: plan === 'auto' ? blockSize : draftLength, beta: 1 };
  });
  const tally = new Tally(tolerance);
  const startedAt = performance.now();
  let numPrompts = 0;
  for (const promptIds of options.prompts) {
    if (numPrompts > 0 && performance.now() - startedAt > options.timeLimitMs) break;
    await checkPrompt(engine, plans, { promptIds, index: numPrompts, maxTokens: options.maxTokens }, tally);
    numPrompts += 1;
  }
  engine.dispose();
  const numAsked = options.prompts.length;
  return {
    model: options.model,
    numPrompts,
    numAsked,
    shapeDifference: difference,
    tolerance,
    ...tally.result,
  };
}

/** The first prompt with its answer: what differences are measured on. */
async function firstText(engine: Engine, { prompts, maxTokens }: LawOptions): Promise<number[]> {
  const [promptIds = []] = prompts;
  const plain = {
    promptIds,
    maxTokens,
    stopTokenIds: [],
    sampling: PLAIN_SAMPLING,
    decoder: { type: 'ar' },
  } as const;
  return [...promptIds, ...(await textOf(engine, plain)).tokenIds];
}

interface Asked {
  readonly promptIds: readonly number[];
  readonly index: number;
  readonly maxTokens: number;
}

async function checkPrompt(
  engine: Engine,
  plans: readonly Decoder[],
  { promptIds, index, maxTokens }: Asked,
  tally: Tally,
): Promise<void> {
  const common = { promptIds, maxTokens, stopTokenIds: [] };
  const greedy = { ...common, sampling: PLAIN_SAMPLING };
  const plain = await textOf(engine, { ...greedy, decoder: { type: 'ar' }, logprobs: 2 });
  tally.count('plain', plain);
  for (const decoder of plans) {
    const drafted = await textOf(engine, { ...greedy, decoder });
    const name = decoder.type === 'tidar' ? decoder.plan : decoder.type;
    tally.count(name, drafted);
    tally.compare(plain, drafted, { prompt: index + 1, plan: name });
  }
  const sampling = { ...PLAIN_SAMPLING, temperature: TEMPERATURE, seed: BigInt(index + 1) };
  const [dense = { type: 'ar' }] = plans;
  const sampled = await textOf(engine, { ...common, sampling, decoder: { type: 'ar' } });
  const draftedToo = await textOf(engine, { ...common, sampling, decoder: dense });
  tally.compareSampled(sampled.tokenIds.join() === draftedToo.tokenIds.join());
}

interface Text {
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly TokenLogprob[];
  /** After prefill. */
  readonly numTokens: number;
  readonly numPasses: number;
  readonly milliseconds: number;
}

async function textOf(engine: Engine, options: GenerateOptions): Promise<Text> {
  const tokenIds: number[] = [];
  const logprobs: TokenLogprob[] = [];
  let [numTokens, numPasses, milliseconds] = [0, 0, 0];
  let startedAt = performance.now();
  for await (const event of generate(engine, options)) {
    if (event.type === 'end') break;
    tokenIds.push(...event.tokenIds);
    logprobs.push(...(event.logprobs ?? []));
    const now = performance.now();
    if (!event.isPrefill) {
      numTokens += event.tokenIds.length;
      numPasses += 1;
      milliseconds += now - startedAt;
    }
    startedAt = now;
  }
  return { tokenIds, logprobs, numTokens, numPasses, milliseconds };
}

/** Counts what texts came to. */
class Tally {
  readonly #tolerance: number;
  readonly #nearTies: Parting[] = [];
  readonly #broken: Parting[] = [];
  readonly #speeds = new Map<string, { numTokens: number; numPasses: number; milliseconds: number }>();
  readonly #sampled = { numTexts: 0, numEqual: 0 };
  #numTokens = 0;
  #numNearTiePositions = 0;

  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  count(name: string, { numTokens, numPasses, milliseconds, logprobs }: Text): void {
    const all = this.#speeds.get(name) ?? { numTokens: 0, numPasses: 0, milliseconds: 0 };
    all.numTokens += numTokens;
    all.numPasses += numPasses;
    all.milliseconds += milliseconds;
    this.#speeds.set(name, all);
    this.#numNearTiePositions += logprobs.filter((one) => gapOf(one) < this.#tolerance).length;
  }

  /** After the first difference two texts are texts of their own. */
  compare(plain: Text, drafted: Text, where: { prompt: number; plan: string }): void {
    this.#numTokens += drafted.tokenIds.length;
    const length = Math.max(plain.tokenIds.length, drafted.tokenIds.length);
    let position = 0;
    while (position < length && plain.tokenIds[position] === drafted.tokenIds[position]) position += 1;
    if (position === length) return;
    const gap = gapOf(plain.logprobs[position]);
    const list = gap < this.#tolerance ? this.#nearTies : this.#broken;
    list.push({ ...where, position, gap });
  }

  compareSampled(isEqual: boolean): void {
    this.#sampled.numTexts += 1;
    this.#sampled.numEqual += isEqual ? 1 : 0;
  }

  get result() {
    return {
      numTokens: this.#numTokens,
      numNearTiePositions: this.#numNearTiePositions,
      nearTies: this.#nearTies,
      broken: this.#broken,
      sampled: this.#sampled,
      speeds: [...this.#speeds].map(([name, { numTokens, numPasses, milliseconds }]) => ({
        name,
        tokensPerForward: numTokens / Math.max(1, numPasses),
        tokensPerSecond: (1000 * numTokens) / Math.max(1e-9, milliseconds),
      })),
    };
  }
}

/** A difference of log-probabilities of one row is one of its logits. */
function gapOf(one: TokenLogprob | undefined): number {
  const [first, second] = one?.top ?? [];
  if (first === undefined || second === undefined) return Number.MAX_VALUE;
  return first.logprob - second.logprob;
}
