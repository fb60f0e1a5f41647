import { TidarError } from '@tidar/shared/errors.ts';
import type { LogitsRow, Row } from './settings.ts';

/** The score of a token that cannot be drawn. */
export const REMOVED = -Infinity;

/** One sequence's broken numbers end that request; they never turn into text. */
export function notFinite(): TidarError {
  return new TidarError(
    'internal',
    'The model computed a number that is not finite; the request was ended.',
    {
      internal: 'non-finite logit',
    },
  );
}

/** A row from plain numbers, without candidates. */
export function wholeRow(logits: Row): LogitsRow {
  return { full: () => logits, candidates: undefined };
}
