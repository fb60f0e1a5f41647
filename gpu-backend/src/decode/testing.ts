import fc from 'fast-check';
import type { Active } from '../engine/active.ts';
import type { Engine, Turn } from '../engine/engine.ts';
import type { SequenceOptions } from '../engine/sequence.ts';
import { sampled, sequenceOptions } from '../engine/testing.ts';
import type { Decoder } from './decoder.ts';
import { generate } from './generate.ts';
import type { DecodeEvent, GenerateOptions } from './generate.ts';
import { planRule } from './plan-rules.ts';

/** Helpers of the decoders' tests. */

export type StepEvent = Extract<DecodeEvent, { type: 'step' }>;

/** A text to decode, by what, and when it takes part. */
export interface Job {
  readonly options: SequenceOptions;
  readonly decoder: Decoder;
  /** Passes before it comes, and before it goes. */
  readonly arrivesAt: number;
  readonly leavesAt: number;
  /** Passes that it leaves out after each one. */
  readonly idles: number;
  /** Tokens that it is granted at a time; absent: all at once. */
  readonly grant?: number | undefined;
}

const COMMON = Array.from({ length: 100 }, (_, at) => 3 + ((at * 7) % 40));

/** Texts of the fixtures' 48 tokens; many begin alike. */
const texts: fc.Arbitrary<SequenceOptions> = fc
  .record({
    prompt: fc.array(fc.integer({ min: 3, max: 46 }), { minLength: 1, maxLength: 50 }),
    isLong: fc.constantFrom(true, false, false),
    maxTokens: fc.integer({ min: 1, max: 24 }),
    stopTokenIds: fc.constantFrom([], [2], [5, 9, 11, 26, 31]),
    choice: fc.nat(2),
    temperature: fc.constantFrom(0, 0.8, 1.2),
    topK: fc.constantFrom(0, 5),
    topP: fc.constantFrom(1, 0.9),
    frequencyPenalty: fc.constantFrom(0, 0, 0.5),
    repetitionPenalty: fc.constantFrom(1, 1.3),
    minTokens: fc.constantFrom(0, 0, 6),
    seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  })
  .map(({ prompt, isLong, maxTokens, stopTokenIds, choice, ...sampling }) =>
    sequenceOptions({
      promptIds: isLong ? [...COMMON, ...prompt] : prompt,
      maxTokens,
      choice,
      stopTokenIds: new Set(stopTokenIds),
      sampling: sampled({ ...sampling, minTokens: Math.min(maxTokens, sampling.minTokens) }),
    }),
  );

const times = fc.record({
  arrivesAt: fc.nat(6),
  leavesAt: fc.constantFrom(Infinity, Infinity, 3, 9),
  idles: fc.nat(2),
  grant: fc.constantFrom(Infinity, 5),
});

/** Jobs of texts that are decoded by one of the decoders. */
export function jobsBy(decoders: fc.Arbitrary<Decoder>): fc.Arbitrary<Job> {
  return fc.tuple(texts, decoders, times).map(([options, decoder, time]) => ({
    options: { ...options, diffusion: decoder.type === 'diffusion' ? decoder : undefined },
    decoder,
    ...time,
  }));
}

export const AT_ONCE = { arrivesAt: 0, leavesAt: Infinity, idles: 0 } as const;
const MOST_PASSES = 5000;

/**
 * Lets jobs arrive, idle, pause and leave between passes; returns each one's text as far as it came. `onTurn` sees every
 * pass.
 */
export async function decodeTogether(
  engine: Engine,
  all: readonly Job[],
  onTurn: (turn: Turn) => void = () => undefined,
): Promise<number[][]> {
  const running = new Map<Job, Active>();
  const waiting = new Set(all);
  const texts = new Map(all.map((job): [Job, number[]] => [job, []]));
  for (let tick = 0; waiting.size > 0 || running.size > 0; tick++) {
    for (const job of waiting) {
      const active = job.arrivesAt > tick ? undefined : open(engine, job);
      if (active === undefined) continue;
      waiting.delete(job);
      running.set(job, active);
    }
    const ready = new Set(
      [...running].flatMap(([job, active]) => (isReady(job, active, tick) ? [active] : [])),
    );
    const jobOf = new Map([...running].map(([job, active]) => [active, job]));
    for (const turn of await engine.step(ready)) {
      if (turn.result instanceof Error) throw turn.result;
      onTurn(turn);
      const job = jobOf.get(turn.active);
      if (job !== undefined) texts.get(job)?.push(...turn.result.tokenIds);
    }
    for (const [job, active] of running) {
      if (active.sequence.finishReason === undefined && tick < job.leavesAt) continue;
      engine.close(active);
      running.delete(job);
    }
    engine.checkIntegrity();
    if (tick > MOST_PASSES) throw new Error('the engine does not come to an end');
  }
  return all.map((job) => texts.get(job) ?? []);
}

function open(engine: Engine, { options, decoder, grant = Infinity }: Job): Active | undefined {
  const rule = planRule(decoder, engine.config.maxPositions);
  const active = engine.open(options, { rule, salt: 'a' });
  if (active !== undefined) active.sequence.grantEnd = active.sequence.numCompletionTokens + grant;
  return active;
}

/** Who has paused at the end of a grant gets another, and waits a pass for it. */
function isReady({ idles, grant = Infinity }: Job, { sequence }: Active, tick: number): boolean {
  if (sequence.isPaused) {
    sequence.grantEnd += grant;
    return false;
  }
  return tick % (idles + 1) === 0;
}

/** All passes of a text that is alone in the engine. */
export async function stepsOf(
  engine: Engine,
  options: GenerateOptions,
  extra: Parameters<typeof generate>[2] = {},
): Promise<StepEvent[]> {
  const steps: StepEvent[] = [];
  for await (const event of generate(engine, options, extra)) if (event.type === 'step') steps.push(event);
  engine.checkIntegrity();
  return steps;
}
