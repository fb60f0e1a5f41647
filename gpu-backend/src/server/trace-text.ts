import type { PassTrace, TracedToken } from '@tidar/shared/trace.ts';
import type { PassTrace as EngineTrace } from '../engine/trace.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { LEAST_LOGPROB, tokenText } from './token-text.ts';

/** Adds each token's text; of the pass that decided them, `numTokens` tokens count, later ones came after a stop string. */
export function describeTrace(
  trace: EngineTrace,
  numTokens: number,
  tokenizer: Tokenizer | undefined,
): PassTrace {
  const token = (tokenId: number): TracedToken => tokenText(tokenId, tokenizer);
  const { rows } = trace;
  return {
    prefix: trace.numPrefixTokens,
    pending_rows: trace.numPendingRows,
    rows: {
      kinds: [...rows.kinds],
      token_ids: [...rows.tokenIds],
      positions: [...rows.positions],
      depths: [...rows.depths],
      block_starts: [...rows.blockStarts],
      block_ends: [...rows.blockEnds],
    },
    outcomes: trace.outcomes.map(({ accepted, correction, numMaskTokens, firstRow }) => ({
      accepted,
      ...(correction === undefined ? {} : { correction: token(correction) }),
      masks: numMaskTokens,
      first_row: firstRow,
    })),
    outcome: trace.outcome < 0 ? null : trace.outcome,
    drafts: trace.drafts.map(({ tokenId, logprob, row, isAccepted }) => ({
      ...token(tokenId),
      logprob: told(logprob),
      row: row < 0 ? null : row,
      accepted: isAccepted,
    })),
    tokens: trace.tokens
      .slice(0, numTokens)
      .map(({ tokenId, arLogprob, draftLogprob, mixedLogprob, draft }) => ({
        ...token(tokenId),
        ar_logprob: told(arLogprob),
        draft_logprob: told(draftLogprob),
        ...(mixedLogprob === undefined ? {} : { mixed_logprob: Math.max(mixedLogprob, LEAST_LOGPROB) }),
        draft,
      })),
    predicted: trace.predicted.map(({ tokenId, row, logprob }) => ({
      ...token(tokenId),
      row,
      logprob: told(logprob),
    })),
  };
}

const told = (logprob: number | undefined): number | null =>
  logprob === undefined ? null : Math.max(logprob, LEAST_LOGPROB);
