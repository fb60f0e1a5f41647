import type { JSX } from 'preact';
import type { ApiError } from '../common/http.ts';
import { dropKey } from './state.ts';
import { explain } from './words.ts';

interface ErrorNoteProps {
  readonly error: ApiError;
  readonly onRetry: () => void;
}

/** What went wrong, and the way on. */
export function ErrorNote({ error, onRetry }: ErrorNoteProps): JSX.Element {
  const { title, advice, isWorthRetrying, needsKey } = explain(error);
  return (
    <div class="note bad" role="alert">
      <strong>{title}</strong>
      <p>{advice}</p>
      {isWorthRetrying && (
        <button type="button" class="button small" onClick={onRetry}>
          Try again
        </button>
      )}
      {needsKey && (
        <button type="button" class="button small" onClick={dropKey}>
          Enter another key
        </button>
      )}
    </div>
  );
}
