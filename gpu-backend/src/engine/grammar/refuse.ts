import { TidarError } from '@tidar/shared/errors.ts';

/** What one grammar may cost: it is compiled on the thread that runs the model. */
export const GRAMMAR_LIMITS = {
  /** Characters of a schema (as JSON), a regular expression or a grammar. */
  numCharacters: 65_536,
  /** Levels of nesting, of a schema's or of a regular expression's parts. */
  depth: 64,
  /** Characters of a property's name. */
  nameLength: 128,
  /** The highest count of a repetition. */
  repeat: 4_096,
  /** Parts of the grammar once every repetition is written out. */
  numParts: 65_536,
} as const;

/** The error of a grammar that can't be used as it is; `sentence` says why, and what to do. */
export function refuse(sentence: string): TidarError {
  return new TidarError('invalid_request', sentence, { param: 'response_format' });
}

const MAX_QUOTE_LENGTH = 80;

/** A piece of a request in a sentence: no more of it than a person reads. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= MAX_QUOTE_LENGTH ? text : `${text.slice(0, MAX_QUOTE_LENGTH)}…`.toWellFormed();
}
