import { TidarError } from '@tidar/shared/errors.ts';
import { traceFields, traceOf } from '@tidar/shared/trace-context.ts';
import { logWith } from '../log.ts';
import { Instance, type LeaseSettings } from '../relay/instance.ts';
import type { JournalQuestion, JournalWord } from './journal.ts';

const ASK_TIMEOUT_MS = 5_000;
const TIMEOUTS = { connectMs: ASK_TIMEOUT_MS, startMs: ASK_TIMEOUT_MS, gapMs: ASK_TIMEOUT_MS };

/**
 * Asks the backend of a request's highest attempt what it generated. It never throws. The lease is as long as one to
 * generate: a backend whose clock lets it generate tells what it generated.
 */
export async function askJournal(
  { requestId, attempt, numChoices, fingerprint, backend }: JournalQuestion,
  tenant: string,
  leases: LeaseSettings,
): Promise<JournalWord> {
  if (backend === null) return 'unreachable';
  // The trace of the request itself, unless its client had named one.
  const trace = traceOf(new Headers(), requestId.replace(/^req_/, ''));
  const identity = { requestId, numChoices, tenant, fingerprint, trace };
  const instance = new Instance(backend, identity, attempt, { leases, timeouts: TIMEOUTS });
  try {
    return { answer: await instance.journal() };
  } catch (error) {
    if (error instanceof TidarError && error.code === 'not_found') return 'unknown';
    const log = logWith({ request_id: requestId, ...traceFields(trace) });
    log('warn', 'journal_unreachable', { backend, reason: String(error) });
    return 'unreachable';
  }
}
