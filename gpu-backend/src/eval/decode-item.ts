import { roomFor } from '../decode/check-options.ts';
import type { Decoder } from '../decode/decoder.ts';
import { generate } from '../decode/generate.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { OpenedModel } from './models.ts';

export interface Question {
  readonly promptIds: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly format?: { readonly spec: GrammarSpec; readonly compiled: CompiledGrammar } | undefined;
}

/** One answer. Of a text that a stop string ends, tokens up to the one that completes it count. */
export interface Decoded {
  readonly text: string;
  readonly tokenIds: readonly number[];
  /** Of tokens after prefill, and of the forward passes that gave them; a draft model's passes take time alone. */
  readonly numDecoded: number;
  readonly numPasses: number;
  readonly milliseconds: number;
  /** Cut by the limit on tokens, not ended by the model. */
  readonly isCutShort: boolean;
}

const NOTHING: Decoded = {
  text: '',
  tokenIds: [],
  numDecoded: 0,
  numPasses: 0,
  milliseconds: 0,
  isCutShort: true,
};

/** Decodes one answer alone; a prompt that leaves no room has an empty one. */
export async function decodeItem(
  { engine, tokenizer, folder }: OpenedModel,
  { promptIds, maxTokens, sampling, stop, format }: Question,
  decoder: Decoder,
): Promise<Decoded> {
  const room = Math.min(maxTokens, roomFor(promptIds.length, decoder, folder.config));
  if (room < 1) return NOTHING;
  const filter = new StopStringFilter(tokenizer.stream(), stop);
  const tokenIds: number[] = [];
  const count = { numDecoded: 0, numPasses: 0, milliseconds: 0 };
  let [text, isCutShort] = ['', false];
  const options = {
    ...{ promptIds, maxTokens: room, decoder, sampling, stopTokenIds: [] },
    ...(format === undefined ? {} : { grammar: format.spec }),
  };
  const grammar = format === undefined ? {} : { grammar: format.compiled };
  for await (const event of generate(engine, options, grammar)) {
    if (event.type === 'end') {
      const rest = filter.flush();
      text += rest.text;
      isCutShort = event.finishReason === 'length' && !rest.stopped;
      break;
    }
    const kept = filter.push(event.tokenIds);
    text += kept.text;
    tokenIds.push(...kept.keptTokenIds);
    if (!event.isPrefill) {
      count.numDecoded += kept.keptTokenIds.length;
      count.numPasses += 1;
      count.milliseconds += event.milliseconds + (event.drafting?.milliseconds ?? 0);
    }
    if (kept.stopped) break;
  }
  return { text, tokenIds, ...count, isCutShort };
}

/** A prompt's ids. As it is, a text begins with the model's beginning token, where it has one. */
export function encodePrompt(
  { tokenizer }: { readonly tokenizer: Tokenizer },
  prompt: string,
  form: 'chat' | 'raw',
): number[] {
  if (form === 'chat' && tokenizer.hasChatTemplate)
    return tokenizer.encodeChat([{ role: 'user', content: prompt }]);
  const { bosTokenId } = tokenizer;
  return [...(bosTokenId === undefined ? [] : [bosTokenId]), ...tokenizer.encode(prompt)];
}
