import type { TidarError } from '@tidar/shared/errors.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;
export type LogLevel = 'info' | 'warn' | 'error';

/** Writes one line of JSON; keys, leases, prompts and texts never belong in its fields. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Whatever looks like a key or an admin token, also where it was put by mistake: in an address, say. */
const SECRETS = /\b(td[ra]_[0-9a-z]{1,16})[0-9a-z_]*/gi;

const WRITERS = {
  info: (line: string) => console.log(line),
  warn: (line: string) => console.warn(line),
  error: (line: string) => console.error(line),
};

/** A log whose every line has these fields: of a request its ids. */
export function logWith(always: LogFields): Log {
  return (level, event, fields = {}) => {
    const entry = { time: new Date().toISOString(), level, event, ...always, ...fields };
    WRITERS[level](JSON.stringify(entry).replaceAll(SECRETS, '$1_…'));
  };
}

/** What went wrong, with what its client is not told. */
export function logError(error: TidarError, log: Log): void {
  const { code, message, internal, httpStatus } = error;
  log(httpStatus >= 500 ? 'error' : 'info', 'request_failed', { code, message, internal });
}
