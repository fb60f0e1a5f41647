import type { Random } from './random.ts';

/** What a client asks for; equal asks have equal answers. */
export interface Ask {
  text: string;
  maxTokens: number;
  numChoices: number;
  temperature: number;
  seed: number;
  ignoreEos: boolean;
}

const TEXTS = ['hello, 12+30=?', 'a', 'what is 7+8?', 'the quick brown fox jumps over it, twice.'];
const NUM_ASKS = 24;

/** The asks of a run: few enough to be answered once each by an undisturbed system. */
export function drawAsks(random: Random): Ask[] {
  return Array.from({ length: NUM_ASKS }, (_, index) => ({
    text: random.pick(TEXTS),
    maxTokens: random.pick([1, 9, 30, 60, 90, 120, 150]),
    numChoices: random.pick([1, 1, 1, 2, 3]),
    temperature: random.pick([0, 1]),
    seed: index,
    ignoreEos: !random.chance(0.2),
  }));
}

export function bodyOf(ask: Ask, extra: { stream: boolean; decoder: 'ar' | 'tidar'; name: string }): object {
  return {
    model: 'tiny-chat',
    messages: [{ role: 'user', content: ask.text }],
    max_tokens: ask.maxTokens,
    n: ask.numChoices,
    temperature: ask.temperature,
    seed: ask.seed,
    stream: extra.stream,
    ...(extra.stream ? { stream_options: { include_usage: true } } : {}),
    metadata: { ask: extra.name },
    tidar: { ignore_eos: ask.ignoreEos, decoder: extra.decoder },
  };
}
