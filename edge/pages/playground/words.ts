import type { ApiError } from '../common/http.ts';

export interface Explained {
  readonly title: string;
  /** What to do about it. */
  readonly advice: string;
  /** Whether the same request may go well. */
  readonly isWorthRetrying: boolean;
  readonly needsKey: boolean;
}

const SETTINGS: Readonly<Record<string, string>> = {
  'tidar.beta': 'Trust (β)',
  'tidar.draft_length': 'Draft length',
  'tidar.decoder': 'Decoder',
  'tidar.plan': 'Plan',
  response_format: 'JSON schema',
  max_tokens: 'Tokens at most',
  temperature: 'Temperature',
  seed: 'Seed',
};

const again = (title: string, advice: string): Explained => ({
  title,
  advice,
  isWorthRetrying: true,
  needsKey: false,
});
const never = (title: string, advice: string, needsKey = false): Explained => ({
  title,
  advice,
  isWorthRetrying: false,
  needsKey,
});

/** What went wrong, and what helps, in words. */
export function explain({ code, message, param, status, retryAfterSeconds }: ApiError): Explained {
  const wait = retryAfterSeconds === undefined ? 'in a moment' : `in ${retryAfterSeconds} s`;
  switch (code) {
    case 'no_answer':
      return again('The server could not be reached.', 'Is it still running? Start it, then try again.');
    case 'broken_off':
      return again('The answer broke off.', 'What came stands above. Try again to have all of it.');
    case 'missing_api_key':
    case 'invalid_api_key':
    case 'key_revoked':
    case 'key_expired':
      return never(message, 'Enter another key; whoever runs this server makes them.', true);
    case 'overloaded':
    case 'backend_unavailable':
    case 'shutting_down':
    case 'idempotency_in_flight':
      return again(message, `Try again ${wait}.`);
    case 'context_length_exceeded':
      return never(message, 'Shorten the question, ask for fewer tokens, or begin a new chat.');
  }
  if (status === 429) return again(message, `Try again ${wait}; the key’s limits say how often it may ask.`);
  if (param !== undefined) return never(message, `Change “${SETTINGS[param] ?? param}” in the settings.`);
  if (status >= 500) return again(message, `Try again ${wait}.`);
  return never(message, 'Change the request, then send it again.');
}
