import type { TidarError } from '@tidar/shared/errors.ts';

/** One line for the operator. Neither keys nor prompts are ever part of it. */
export function logError(error: TidarError, requestId: string): void {
  const { code, message, internal, httpStatus } = error;
  const line = JSON.stringify({ event: 'request_failed', request_id: requestId, code, message, internal });
  if (httpStatus >= 500) console.error(line);
  else console.log(line);
}
