import { generate } from '../decode/generate.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { encodePrompt } from './decode-item.ts';
import type { OpenedModel } from './models.ts';
import type { ChoicesItem } from './tasks/item.ts';

/** Which choice the model finds the likeliest, by the mean over its bytes and over its tokens. */
export interface Chosen {
  readonly byByte: number;
  readonly byToken: number;
}

/** Of a text: bits of information in so many of its bytes; tokens that nothing stands before are left out. */
export interface Measured {
  readonly bits: number;
  readonly numBytes: number;
}

/** Natural log-probabilities of tokens in one causal pass; the first has none. */
async function tokenLogprobs({ engine }: OpenedModel, ids: readonly number[]): Promise<(number | null)[]> {
  const options = {
    ...{ promptIds: ids, maxTokens: 1, decoder: { type: 'ar' } as const, sampling: PLAIN_SAMPLING },
    ...{ stopTokenIds: [], promptLogprobs: 0 },
  };
  for await (const event of generate(engine, options)) {
    if (event.type === 'end') return (event.promptLogprobs ?? []).map((one) => one && one.logprob);
  }
  throw new Error('a generation ended without an end');
}

export async function choose(model: OpenedModel, item: ChoicesItem, form: 'chat' | 'raw'): Promise<Chosen> {
  const scores: { byByte: number; byToken: number }[] = [];
  for (const choice of item.choices) {
    const { ids, numContext } = withContinuation(model, item.context, choice, form);
    const logprobs = (await tokenLogprobs(model, ids)).slice(numContext);
    const total = logprobs.reduce<number>((sum, one) => sum + (one ?? 0), 0);
    scores.push({ byByte: total / Buffer.byteLength(choice), byToken: total / logprobs.length });
  }
  return {
    byByte: highest(scores.map((one) => one.byByte)),
    byToken: highest(scores.map((one) => one.byToken)),
  };
}

/** Of equals the first. */
function highest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

/**
 * Token ids of a context with a continuation. As plain text both are encoded together, since the last token of the
 * context may take in the continuation's beginning; what both encodings share is the context. Too long a context
 * loses its beginning.
 */
function withContinuation(
  model: OpenedModel,
  context: string,
  choice: string,
  form: 'chat' | 'raw',
): { ids: number[]; numContext: number } {
  const contextIds = encodePrompt(model, context, form);
  const isChat = form === 'chat' && model.tokenizer.hasChatTemplate;
  const whole = isChat
    ? [...contextIds, ...model.tokenizer.encode(choice)]
    : encodePrompt(model, context + choice, form);
  const differs = contextIds.findIndex((id, at) => whole[at] !== id);
  const numShared = Math.min(differs < 0 ? contextIds.length : differs, whole.length - 1);
  const numCut = Math.max(0, whole.length - (model.folder.config.maxPositions - 1));
  return { ids: whole.slice(numCut), numContext: Math.max(1, numShared - numCut) };
}

/** Bits of a text by windows that overlap by half: each pass tells what lies in its second half, the first all. */
export async function measureText(model: OpenedModel, text: string, window: number): Promise<Measured> {
  const ids = encodePrompt(model, text, 'raw');
  const length = Math.min(window, model.folder.config.maxPositions - 1);
  const stride = Math.ceil(length / 2);
  let [nats, numBytes, numTold] = [0, 0, 0];
  for (let start = 0; numTold < ids.length; start += stride) {
    const part = ids.slice(start, start + length);
    const logprobs = await tokenLogprobs(model, part);
    for (let at = numTold - start; at < part.length; at++) {
      const logprob = logprobs[at] ?? null;
      if (logprob === null) continue;
      nats -= logprob;
      numBytes += model.tokenizer.bytesOf(part[at] ?? -1)?.length ?? 0;
    }
    numTold = start + part.length;
  }
  return { bits: nats / Math.LN2, numBytes };
}
