const NANOS = 1_000_000_000;
const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const money = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 9 });
const moment = new Intl.DateTimeFormat('en-CA', {
  dateStyle: 'short',
  timeStyle: 'medium',
  hourCycle: 'h23',
});

export const number = (value: number): string => whole.format(value);
/** 1.2K, 3M: for axes. */
export const shortNumber = (value: number): string => short.format(value);
/** Of billionths, in whole units of the price list's currency. */
export const units = (nanos: number): string => money.format(nanos / NANOS);
/** In this machine's own time. */
export const time = (ms: number): string => moment.format(ms).replace(',', '');
export const timeOfSeconds = (seconds: number): string => time(seconds * 1000);

/** A limit, where null is none. */
export const limit = (value: number | null): string => (value === null ? 'none' : number(value));

/** Unix milliseconds as an element of `<time>` has them. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** 850 ms, 4.2 s, 3 min, 2 h. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

/** A day in UTC, some days ago. */
export const dayAgo = (days: number, nowMs = Date.now()): string =>
  new Date(nowMs - days * 86_400_000).toISOString().slice(0, 10);

/** As the paper counts: the first token is prefill's, and so is its pass. */
export function perForward(numTokens: number, numPasses: number, numAnswers = 1): string {
  const passes = numPasses - numAnswers;
  return passes > 0 && numTokens > numAnswers ? ((numTokens - numAnswers) / passes).toFixed(2) : '–';
}
