import { errorBodySchema } from '@tidar/shared/errors.ts';
import { journalAnswerSchema, requestPath } from '@tidar/shared/journal.ts';
import { utf8 } from '@tidar/shared/lease.ts';
import { leaseFor } from '../lease.ts';
import type { JournalQuestion, JournalWord } from './journal.ts';

const ASK_TIMEOUT_MS = 5_000;
const BODY = utf8(JSON.stringify({ stream: false }));

export interface LeaseSettings {
  secret: string;
  lifetimeMs: number;
}

/** Asks the backend of a request's highest attempt what it generated. It never throws. */
export async function askJournal(
  question: JournalQuestion,
  tenant: string,
  { secret, lifetimeMs }: LeaseSettings,
): Promise<JournalWord> {
  const { backend, requestId } = question;
  if (backend === null) return 'unreachable';
  const terms = { purpose: 'read' as const, body: BODY, endToken: 0 };
  try {
    // As long as a lease to generate: a backend whose clock lets it generate tells what it generated.
    const expiresAtMs = Date.now() + lifetimeMs;
    const lease = await leaseFor({ ...question, backend, tenant }, { ...terms, expiresAtMs }, secret);
    const response = await fetch(`${backend}${requestPath(requestId)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${lease}` },
      body: BODY,
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const body: unknown = await response.json();
    if (response.ok) return { answer: journalAnswerSchema.parse(body) };
    const { code } = errorBodySchema.parse(body).error;
    if (code === 'not_found') return 'unknown';
    throw new Error(`it refuses with ${code}`);
  } catch (error) {
    const reason = String(error);
    console.warn(JSON.stringify({ event: 'journal_unreachable', request_id: requestId, backend, reason }));
    return 'unreachable';
  }
}
