import type { TokenLogprob, TokenScore } from '@tidar/shared/protocol.ts';
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
const LEAST_LOGPROB = -9999;

/** Adds each token's text and bytes, so that whoever reads it needs no tokenizer. */
export function describeLogprob(logprob: EngineLogprob, tokenizer: Tokenizer | undefined): TokenLogprob {
  return { ...score(logprob, tokenizer), top: logprob.top.map((other) => score(other, tokenizer)) };
}

function score({ tokenId, logprob }: EngineScore, tokenizer: Tokenizer | undefined): TokenScore {
  const bytes = tokenizer?.bytesOf(tokenId);
  return {
    token_id: tokenId,
    token: bytes === undefined ? (tokenizer?.specialName(tokenId) ?? `token_id:${tokenId}`) : textOf(bytes),
    bytes: bytes === undefined ? null : [...bytes],
    logprob: Math.max(logprob, LEAST_LOGPROB),
  };
}

/** Bytes that are no whole characters are spelled as OpenAI spells them: `bytes:\xe2\x82`. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
