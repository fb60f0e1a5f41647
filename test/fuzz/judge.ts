import { ERRORS } from '@tidar/shared/errors.ts';
import type { Findings } from './case.ts';
import type { Answer, Outcome } from './raw-http.ts';

/** What must come of a request. */
export interface Expected {
  /** Any of these is right. */
  statuses: readonly number[];
  /** Of an error, where only some are right. */
  codes?: readonly string[];
  /** Where the fault is: the error must name this field, one around it, or a part of it. */
  at?: string | undefined;
  /** Of HEAD: an error without its words. */
  hasNoBody?: boolean;
  /** The HTTP server below the routes may answer, in plain words, or end the connection without any. */
  isBelowRoutes?: boolean;
}

/** What no answer may have in it: the world's own secrets and places. */
export interface Hidden {
  target: 'edge' | 'backend';
  texts: readonly string[];
}

/** What would tell how the server is made. */
const INSIDE: readonly RegExp[] = [
  /\bat \S.*:\d+:\d+/,
  /node_modules|\.(ts|mjs|js):\d+/,
  /(^|[\s"'(])\/(tmp|home|root|usr|var|opt|app|work)\//,
  /SQLITE|sqlite|constraint failed/,
  /\bundefined\b|\[object |\bNaN\b/,
  /(Type|Range|Reference|Syntax|Internal)Error|ZodError/,
  /Cannot (read|set|convert)|is not (a function|iterable)|Maximum call stack/,
  /workerd|kj::|capnp|\bisolate\b/,
];
const LONGEST_MESSAGE = 600;
/** Says what would be right, and not only that something is wrong. */
const GUIDANCE =
  /expected|\bonly\b|must|at most|at least|\bgive\b|\bsend\b|\bset\b|\buse\b|try |needs?\b|here:|takes|than|check |leave|supported|names|well-formed|nothing at|no such|there (is|are)|has no|is for|restore|vocabulary of|context (is|of)|means nothing|is started once|knows nothing|serves|unknown parameter|is no regular expression: \w|is between|can't be read at|no text can satisfy|no value satisfies|does not (hold|define)|not valid JSON|not valid UTF-8|has expired|was signed|ended|has an?\b/i;
/** The JSON answers of the edge say how a browser is to take them. */
const SECURITY_HEADERS = ['x-content-type-options', 'content-security-policy', 'x-request-id'];

/** Holds an exchange of one answer against what must come of it. */
export function judge(outcome: Outcome, expected: Expected, hidden: Hidden): Findings {
  const [answer] = outcome.answers;
  if (answer === undefined) return judgeSilence(outcome, expected);
  const findings: Findings = { unclear: [], crashed: [] };
  const { status } = answer;
  if (!expected.statuses.includes(status)) {
    const wrong = `status ${status} in place of ${expected.statuses.join(' or ')}: ${excerpt(answer)}`;
    (status >= 500 ? findings.crashed : findings.unclear).push(wrong);
  }
  findings.unclear.push(...leaksIn(answer, hidden));
  if (status >= 400 && expected.hasNoBody !== true)
    findings.unclear.push(...judgeError(answer, expected, hidden));
  return findings;
}

function judgeSilence({ end, rest, milliseconds }: Outcome, { isBelowRoutes }: Expected): Findings {
  if (end === 'closed' && isBelowRoutes === true) return { unclear: [], crashed: [] };
  const how =
    end === 'silent' ? `no answer within ${Math.round(milliseconds)} ms` : 'closed without an answer';
  return { unclear: [], crashed: [`${how}${rest.length === 0 ? '' : `, after ${excerptOf(rest)}`}`] };
}

function judgeError(answer: Answer, expected: Expected, { target }: Hidden): string[] {
  const isJson = /^application\/json\b/.test(answer.headers.get('content-type') ?? '');
  if (!isJson) return judgePlain(answer, expected);
  const error = errorIn(answer.body);
  if (error === undefined) return [`no error object: ${excerpt(answer)}`];
  const problems = target === 'edge' ? shapeOfEdge(answer, error) : shapeOfBackend(answer, error);
  problems.push(...judgeMessage(error.message, error.param));
  const { codes, at } = expected;
  if (codes !== undefined && !codes.includes(error.code))
    problems.push(`code ${error.code} in place of ${codes.join(' or ')}: ${excerpt(answer)}`);
  if (at !== undefined && !isNear(error.param, at))
    problems.push(`param ${String(error.param)} in place of ${at}: ${excerpt(answer)}`);
  return problems;
}

/** What comes from below the routes has no JSON, but is to be a word that helps. */
function judgePlain(answer: Answer, { isBelowRoutes }: Expected): string[] {
  if (isBelowRoutes !== true) return [`an error that is no JSON: ${excerpt(answer)}`];
  const isSilent = answer.body.length === 0 && ![400, 408, 417, 431].includes(answer.status);
  return isSilent ? [`status ${answer.status} without a word`] : [];
}

export interface ErrorIn {
  message: string;
  code: string;
  param: string | null | undefined;
  all: Readonly<Record<string, unknown>>;
}

export function errorIn(body: Buffer | string): ErrorIn | undefined {
  const parsed = jsonOf(body);
  if (!isRecord(parsed) || !isRecord(parsed['error'])) return undefined;
  const all = parsed['error'];
  const { message, code, param } = all;
  if (typeof message !== 'string' || typeof code !== 'string') return undefined;
  if (param !== null && param !== undefined && typeof param !== 'string') return undefined;
  return { message, code, param, all };
}

export function jsonOf(body: Buffer | string): unknown {
  try {
    return JSON.parse(
      typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body),
    );
  } catch {
    return undefined;
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function shapeOfEdge(answer: Answer, { all, code }: ErrorIn): string[] {
  const problems: string[] = [];
  const keys = Object.keys(all).toSorted().join();
  if (keys !== 'code,message,param,type') problems.push(`an error with the fields ${keys}`);
  const traits = Object.entries(ERRORS).find(([name]) => name === code)?.[1];
  if (traits === undefined) problems.push(`an unknown code: ${code}`);
  else if (traits.httpStatus !== answer.status || traits.openaiType !== all['type'])
    problems.push(`code ${code} with status ${answer.status} and type ${String(all['type'])}`);
  for (const name of SECURITY_HEADERS)
    if (!answer.headers.has(name)) problems.push(`no header ${name} with ${code}`);
  return problems;
}

function shapeOfBackend(answer: Answer, { all, code }: ErrorIn): string[] {
  const traits = Object.entries(ERRORS).find(([name]) => name === code)?.[1];
  if (traits === undefined) return [`an unknown code: ${code}`];
  if (traits.httpStatus !== answer.status) return [`code ${code} with status ${answer.status}`];
  return typeof all['retryable'] === 'boolean' ? [] : ['an error that does not say whether it is retryable'];
}

/** A message names what was wrong and what is right, in a sentence. */
export function judgeMessage(message: string, param: string | null | undefined): string[] {
  const problems: string[] = [];
  const told = JSON.stringify(message.slice(0, LONGEST_MESSAGE));
  if (message.length > LONGEST_MESSAGE) problems.push(`a message of ${message.length} characters: ${told}`);
  if (!/[.!?…]$/.test(message.trim())) problems.push(`no whole sentence: ${told}`);
  if (!GUIDANCE.test(message)) problems.push(`does not say what is right: ${told}`);
  if (/Invalid input\.?$/.test(message)) problems.push(`says nothing: ${told}`);
  if ((param?.length ?? 0) > LONGEST_MESSAGE) problems.push(`a param of ${param?.length} characters`);
  return problems;
}

function leaksIn(answer: Answer, { texts }: Hidden): string[] {
  const all = `${[...answer.headers].map((pair) => pair.join(': ')).join('\n')}\n${answer.body.toString('utf8')}`;
  const secrets = texts
    .filter((text) => all.includes(text))
    .map(() => `a secret or a place in ${excerpt(answer)}`);
  if (answer.status < 400) return secrets;
  const body = answer.body.toString('utf8');
  const inside = INSIDE.filter((pattern) => pattern.test(body));
  return [
    ...secrets,
    ...inside.map((pattern) => `tells of its inside (${pattern.source}): ${excerpt(answer)}`),
  ];
}

/** Whether one path is the other, or around it. */
export function isNear(param: string | null | undefined, path: string): boolean {
  if (param == null) return false;
  // A long one is cut.
  if (param.endsWith('…')) return path.startsWith(param.slice(0, -1));
  const [short = '', long = ''] = [param, path].toSorted((one, other) => one.length - other.length);
  return long === short || (long.startsWith(short) && /^[.[]/.test(long.slice(short.length)));
}

const excerpt = ({ body }: Answer): string => excerptOf(body);
const excerptOf = (bytes: Buffer): string => JSON.stringify(bytes.toString('utf8').slice(0, 400));
