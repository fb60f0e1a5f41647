import type { Log } from '../log.ts';
import type { Account } from './account.ts';
import type { Tally } from './tally.ts';

/** How the relaying of an answer ended, one line: what is in it is in no bill. */
export function logAnswer(log: Log, account: Account, tally: Tally, startedAt: number): void {
  const since = (at: number | undefined): number | undefined =>
    at === undefined ? undefined : Math.round(at - startedAt);
  const { promptTokens, cachedTokens, completionTokens, numForwardPasses } = tally.counts();
  log('info', 'answer_end', {
    // Another's, where an answer was taken over.
    answer_id: account.requestId,
    outcome: account.outcome ?? 'read',
    attempts: account.attempt + 1,
    prompt_tokens: promptTokens,
    cached_tokens: cachedTokens,
    completion_tokens: completionTokens,
    forward_passes: numForwardPasses,
    first_token_ms: since(tally.firstTokenAt),
    ms: since(performance.now()),
  });
}
