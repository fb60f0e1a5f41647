import type { TidarError } from '@tidar/shared/errors.ts';

/** Whatever looks like a key or an admin token, also where it was put by mistake: in an address, say. */
const SECRETS = /\b(td[ra]_[0-9a-z]{1,16})[0-9a-z_]*/gi;

/** One line for the operator. Neither keys nor prompts are ever part of it. */
export function logError(error: TidarError, requestId: string): void {
  const { code, message, internal, httpStatus } = error;
  const entry = { event: 'request_failed', request_id: requestId, code, message, internal };
  const line = JSON.stringify(entry).replaceAll(SECRETS, '$1_…');
  if (httpStatus >= 500) console.error(line);
  else console.log(line);
}
