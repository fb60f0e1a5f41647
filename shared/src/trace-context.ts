/** W3C Trace Context: https://www.w3.org/TR/trace-context-2/ */

export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';
export const REQUEST_ID_HEADER = 'x-request-id';

/** One server's part of a trace: what its log lines name, and what it passes on. */
export interface TraceContext {
  readonly traceId: string;
  /** Of this server's own work. */
  readonly spanId: string;
  /** Of who asked; absent: the trace begins here. */
  readonly parentId?: string | undefined;
  /** Two hexadecimal digits: whether who asked may have recorded it, and whether its id is random. */
  readonly flags: string;
  /** As it came: what it says is for others. */
  readonly state?: string | undefined;
}

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const VERSION = '00';
/** Sampled and random: what else a later version may mean is not passed on. */
const KNOWN_FLAGS = 0b11;
const SAMPLED = '01';
const ID = /^[\w.:-]{1,128}$/;

const MAX_STATE_CHARACTERS = 512;
const MAX_STATE_MEMBERS = 32;
/** Where the list is too long, members longer than this go first. */
const LONG_MEMBER = 128;
const MEMBER =
  /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Goes on with the caller's trace where its headers are right, else begins one, with `traceId` if that is a right one. */
export function traceOf(headers: Headers, traceId?: string): TraceContext {
  const parent = readParent(headers.get(TRACEPARENT));
  if (parent !== undefined) {
    const state = readState(headers.get(TRACESTATE));
    return { ...parent, spanId: newSpanId(), ...(state === undefined ? {} : { state }) };
  }
  const isRight = traceId !== undefined && /^[0-9a-f]{32}$/.test(traceId) && !isZero(traceId);
  return { traceId: isRight ? traceId : randomHex(16), spanId: newSpanId(), flags: SAMPLED };
}

/** What a request to another server carries. */
export function traceHeaders({ traceId, spanId, flags, state }: TraceContext): Record<string, string> {
  const parent = `${VERSION}-${traceId}-${spanId}-${flags}`;
  return { [TRACEPARENT]: parent, ...(state === undefined ? {} : { [TRACESTATE]: state }) };
}

/** What every line of a log has of it. */
export function traceFields({ traceId, spanId, parentId }: TraceContext): Record<string, string> {
  return {
    trace_id: traceId,
    span_id: spanId,
    ...(parentId === undefined ? {} : { parent_span_id: parentId }),
  };
}

/** The request's id as the one before says it; what could not be one, or would spoil a log, is none. */
export function requestIdIn(headers: Headers): string | undefined {
  const id = headers.get(REQUEST_ID_HEADER);
  return id !== null && ID.test(id) ? id : undefined;
}

function readParent(header: string | null): Pick<TraceContext, 'traceId' | 'parentId' | 'flags'> | undefined {
  const [, version, traceId = '', parentId = '', flags = '', rest] = PARENT.exec(header ?? '') ?? [];
  if (version === undefined || version === 'ff' || isZero(traceId) || isZero(parentId)) return undefined;
  if (version === VERSION && rest !== undefined) return undefined;
  const known = Number.parseInt(flags, 16) & KNOWN_FLAGS;
  return { traceId, parentId, flags: known.toString(16).padStart(2, '0') };
}

/** One member that is wrong makes the whole list worthless; one that is too long is cut where members end. */
function readState(header: string | null): string | undefined {
  const members = (header ?? '')
    .split(',')
    .map((member) => member.replaceAll(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '');
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))));
  const isRight =
    members.length <= MAX_STATE_MEMBERS &&
    keys.size === members.length &&
    members.every((member) => MEMBER.test(member));
  if (!isRight || members.length === 0) return undefined;
  return shortened(members) || undefined;
}

function shortened(members: readonly string[]): string {
  const all = members.join(',');
  if (all.length <= MAX_STATE_CHARACTERS) return all;
  const kept = members.filter(({ length }) => length <= LONG_MEMBER);
  while (kept.join(',').length > MAX_STATE_CHARACTERS) kept.pop();
  return kept.join(',');
}

const isZero = (hex: string): boolean => /^0*$/.test(hex);

function newSpanId(): string {
  const id = randomHex(8);
  return isZero(id) ? newSpanId() : id;
}

function randomHex(numBytes: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(numBytes));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
