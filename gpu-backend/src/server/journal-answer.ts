import type { JournalAnswer } from '@tidar/shared/journal.ts';
import type { GenerateRequest, Usage } from '@tidar/shared/protocol.ts';
import type { Journal } from './journal/journal.ts';
import type { GenerationRecord } from './journal/records.ts';

/** What the journal knows of an attempt. `isRunning`: this process works on it now. */
export function journalAnswer(journal: Journal, record: GenerationRecord, isRunning: boolean): JournalAnswer {
  const tokenIds = record.request === undefined ? undefined : journal.tokensOf(record.id);
  const counts = record.tokenCounts ?? tokenIds?.map(({ length }) => length) ?? [];
  return {
    request_id: record.requestId,
    attempt: record.attempt,
    // It could not be written how it ended.
    state: record.state === 'running' && !isRunning ? 'interrupted' : record.state,
    model: record.model,
    fingerprint: record.fingerprint,
    seed: record.seed,
    prompt_token_ids: record.promptIds === undefined ? null : [...record.promptIds],
    token_ids: tokenIds ?? null,
    token_counts: [...counts],
    tokens_hash: record.tokensHash ?? null,
    finish_reasons: [...record.finishReasons],
    usage: usageOf(record, counts),
    ...(record.error === undefined ? {} : { error: record.error }),
    ...(record.request === undefined ? {} : { request: JSON.parse(record.request) as GenerateRequest }),
  };
}

/** A prompt counts from `start` on. */
export function usageOf(record: GenerationRecord, counts: readonly number[]): Usage {
  const { numCachedTokens } = record;
  return {
    prompt_tokens: numCachedTokens === undefined ? 0 : record.numPromptTokens,
    completion_tokens: counts.reduce((sum, count) => sum + count, 0),
    cached_tokens: numCachedTokens ?? 0,
    num_forward_passes: record.numForwardPasses ?? 0,
  };
}
