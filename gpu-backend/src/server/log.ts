export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes one line; prompts, texts and secrets never belong in its fields. */
export type Log = (event: string, fields?: LogFields) => void;

/** A log of one line of JSON an event, on standard error: standard output is for the start-up report. */
export const logToStderr: Log = (event, fields = {}) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
};
