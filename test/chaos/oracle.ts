import { type Chunk, readMessages, textOfChunks } from '../support/openai-http.ts';
import { type Ask, bodyOf } from './asks.ts';
import type { Oracle } from './facts.ts';

/** Asks an undisturbed system for one token after the other. */
export async function oracleOf(edgeUrl: string, ask: Ask, apiKey: string): Promise<Oracle> {
  const response = await fetch(`${edgeUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(bodyOf(ask, { stream: true, decoder: 'ar', name: 'oracle' })),
  });
  const messages = await readMessages(response);
  if (messages.at(-1)?.data !== '[DONE]') throw new Error(`no whole answer: ${messages.at(-1)?.data ?? ''}`);
  const chunks = messages.slice(0, -1).map(({ data }) => JSON.parse(data) as Chunk);
  const choices = Array.from({ length: ask.numChoices }, (_, choice) => choice);
  const usage = chunks.at(-1)?.usage;
  const tokens = (messages.at(-2)?.id ?? '').split(',').map((count) => Math.trunc(Number(count)));
  const completionTokens = Number(usage?.['completion_tokens']);
  if (tokens.reduce((total, count) => total + count, 0) !== completionTokens) {
    throw new Error(`${tokens.join()} tokens by the ids, ${completionTokens} by usage`);
  }
  return {
    texts: choices.map((choice) => textOfChunks(chunks, choice)),
    finishReasons: choices.map((choice) => finishOf(chunks, choice)),
    promptTokens: Number(usage?.['prompt_tokens']),
    tokens,
    completionTokens,
  };
}

function finishOf(chunks: readonly Chunk[], choice: number): string {
  const finished = chunks
    .flatMap(({ choices }) => choices)
    .find((one) => one.index === choice && one.finish_reason !== null);
  return finished?.finish_reason ?? 'none';
}
