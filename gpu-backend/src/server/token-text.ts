import type { TokenLogprob, TokenScore } from '@tidar/shared/protocol.ts';
import type { TracedToken } from '@tidar/shared/trace.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** What the engine says of a token: its id and its log-probability, and those of the likeliest ones beside it. */
export interface EngineLogprob extends EngineScore {
  readonly top: readonly EngineScore[];
}

interface EngineScore {
  readonly tokenId: number;
  readonly logprob: number;
}

/** JSON has no infinity; OpenAI writes this for what is as good as impossible. */
export const LEAST_LOGPROB = -9999;

/** A token's text, with its bytes where the text does not say them. */
export function tokenText(tokenId: number, tokenizer: Tokenizer | undefined): TracedToken {
  const { token, bytes } = textAndBytes(tokenId, tokenizer);
  if (bytes === null) return { token_id: tokenId, token, bytes };
  const isSpelled = token.startsWith('bytes:') && new TextEncoder().encode(token).length !== bytes.length;
  return { token_id: tokenId, token, ...(isSpelled ? { bytes } : {}) };
}

/** Adds each token's text and bytes, so that whoever reads it needs no tokenizer. */
export function describeLogprob(logprob: EngineLogprob, tokenizer: Tokenizer | undefined): TokenLogprob {
  return { ...score(logprob, tokenizer), top: logprob.top.map((other) => score(other, tokenizer)) };
}

function score({ tokenId, logprob }: EngineScore, tokenizer: Tokenizer | undefined): TokenScore {
  return {
    token_id: tokenId,
    ...textAndBytes(tokenId, tokenizer),
    logprob: Math.max(logprob, LEAST_LOGPROB),
  };
}

function textAndBytes(
  tokenId: number,
  tokenizer: Tokenizer | undefined,
): Pick<TokenScore, 'token' | 'bytes'> {
  const bytes = tokenizer?.bytesOf(tokenId);
  if (bytes !== undefined) return { token: textOf(bytes), bytes: [...bytes] };
  return { token: tokenizer?.specialName(tokenId) ?? `token_id:${tokenId}`, bytes: null };
}

/** Bytes that are no whole characters are spelled as OpenAI spells them: `bytes:\xe2\x82`. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
