import { z } from 'zod';

const nanos = z.int().nonnegative().max(1_000_000_000);

/** What a token costs, in whole billionths of a currency unit: 150 is 0.15 for a million tokens. */
export const priceSchema = z.strictObject({ prompt: nanos, cached: nanos, completion: nanos });
export type Price = z.infer<typeof priceSchema>;

/** What an open request can use at most. */
export interface Hold {
  tokens: number;
  nanos: number;
}

/** Model ids with their price; `*` stands for every model that is not named. */
export const priceListSchema = z.record(z.string().min(1), priceSchema);

export const FREE: Price = { prompt: 0, cached: 0, completion: 0 };

export function priceOf(prices: Record<string, Price>, model: string): Price {
  return prices[model] ?? prices['*'] ?? FREE;
}

/** The cost of some tokens; those of the prompt that came from the cache have a price of their own. */
export function costNanos(
  price: Price,
  counts: { promptTokens: number; cachedTokens: number; completionTokens: number },
): number {
  const cachedTokens = Math.min(counts.cachedTokens, counts.promptTokens);
  return (
    (counts.promptTokens - cachedTokens) * price.prompt +
    cachedTokens * price.cached +
    counts.completionTokens * price.completion
  );
}

export interface CompletionLimits {
  numChoices: number;
  /** Of each choice. */
  maxTokens: number;
  contextLength: number;
}

/** What a request can use at most once its prompt is known. */
export function holdWith(
  prompt: { promptTokens: number; cachedTokens: number },
  { numChoices, maxTokens, contextLength }: CompletionLimits,
  price: Price,
): Hold {
  const room = Math.max(0, contextLength - prompt.promptTokens);
  const completionTokens = numChoices * Math.min(maxTokens, room);
  // Before the prompt is read nobody knows which of its tokens are cached: the dearer price holds.
  const dearest =
    prompt.cachedTokens > 0 ? price : { ...price, prompt: Math.max(price.prompt, price.cached) };
  return {
    tokens: prompt.promptTokens + completionTokens,
    nanos: costNanos(dearest, { ...prompt, completionTokens }),
  };
}
