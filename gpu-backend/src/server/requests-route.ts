import { TidarError } from '@tidar/shared/errors.ts';
import type { ForgetAnswer, RenewAnswer } from '@tidar/shared/journal.ts';
import { readRequestSchema } from '@tidar/shared/journal.ts';
import type { LeasePayload, LeasePurpose } from '@tidar/shared/lease.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import { type TraceContext, traceFields } from '@tidar/shared/trace-context.ts';
import { answerFormOf } from './answer-form.ts';
import type { Backend } from './backend.ts';
import { decodeUtf8, readBody } from './body.ts';
import { journalAnswer } from './journal-answer.ts';
import type { GenerationRecord } from './journal/records.ts';
import { checkLease, checkLeaseBody } from './lease-gate.ts';
import { readerResponse } from './reader.ts';
import { assertFrom } from './replay.ts';

/** `POST /v1/requests/:id/lease`: a running generation may go on to a later token. */
export async function handleRenew(
  backend: Backend,
  requestId: string,
  http: Request,
  trace: TraceContext,
): Promise<Response> {
  const { lease } = await checked(backend, 'renew', requestId, http);
  const running = backend.generations.find(requestId, lease.attempt);
  if (running === undefined) throw notRunning(known(backend, lease));
  const answer: RenewAnswer = { end_token: running.renew(lease) };
  const { attempt } = lease;
  backend.log('lease_renewed', { request_id: requestId, ...traceFields(trace), attempt, ...answer });
  return Response.json(answer);
}

/** `POST /v1/requests/:id/forget`: deletes the prompt, the text and the request itself; what it came to stays. */
export async function handleForget(
  backend: Backend,
  requestId: string,
  http: Request,
  trace: TraceContext,
): Promise<Response> {
  await checked(backend, 'forget', requestId, http);
  const numForgotten = backend.journal.forgetRequest(requestId);
  if (numForgotten === undefined) throw stillRuns(requestId);
  const answer: ForgetAnswer = { num_forgotten: numForgotten };
  backend.log('request_forgotten', { request_id: requestId, ...traceFields(trace), ...answer });
  return Response.json(answer);
}

/** `POST /v1/requests/:id`: what an attempt has generated, or its events from any token on. */
export async function handleRead(
  backend: Backend,
  requestId: string,
  http: Request,
  trace: TraceContext,
): Promise<Response> {
  const { lease, body } = await checked(backend, 'read', requestId, http);
  const { from, stream } = parseJson(readRequestSchema, decodeUtf8(body));
  const record = known(backend, lease);
  const { attempt } = lease;
  backend.log('request_read', { request_id: requestId, ...traceFields(trace), attempt, stream });
  const running = backend.generations.find(requestId, attempt);
  const answer = journalAnswer(backend.journal, record, running !== undefined);
  if (!stream) return Response.json(answer);
  const begin = from ?? answer.token_counts.map(() => 0);
  assertFrom(begin, answer.token_counts);
  return streamOf(backend, record, begin);
}

/** The events of an attempt that the journal has. Nothing may be awaited between `find` and this. */
export function streamOf(backend: Backend, record: GenerationRecord, from: readonly number[]): Response {
  const { journal, folder, generations } = backend;
  const { id, requestId, attempt, request } = record;
  if (request === undefined) throw notKept();
  const asked = JSON.parse(request) as GenerateRequest;
  const live = generations.find(requestId, attempt)?.attach();
  generations.forgetting.onReader(id);
  return readerResponse({
    journal,
    tokenizer: folder.tokenizer,
    stop: asked.stop,
    form: answerFormOf(asked, record.promptIds ?? [], folder.tokenizer),
    from,
    found: { record, live },
    findAgain: (behind) => ({
      record: journal.find(requestId, attempt) ?? record,
      live: generations.find(requestId, attempt) && behind.rejoin(),
    }),
    onGone: (hasAll) => generations.forgetting.onReaderGone(id, hasAll),
  });
}

async function checked(
  { config, instance }: Backend,
  purpose: LeasePurpose,
  requestId: string,
  http: Request,
): Promise<{ lease: LeasePayload; body: Uint8Array }> {
  const gate = { secrets: config.leaseSecrets, instance };
  const lease = await checkLease(gate, purpose, http.headers.get('authorization') ?? undefined);
  if (lease.request_id !== requestId) {
    throw new TidarError(
      'lease_invalid',
      'The lease is not valid here: it was signed for another request id.',
    );
  }
  const body = await readBody(http);
  await checkLeaseBody(lease, body);
  return { lease, body };
}

function known({ journal }: Backend, { request_id: requestId, attempt }: LeasePayload): GenerationRecord {
  const record = journal.find(requestId, attempt);
  if (record !== undefined) return record;
  throw new TidarError(
    'not_found',
    `This backend knows nothing of attempt ${attempt} of request ${requestId}.`,
  );
}

function notRunning({ requestId, attempt }: GenerationRecord): TidarError {
  return new TidarError('conflict', `Attempt ${attempt} of request ${requestId} has ended.`);
}

const stillRuns = (requestId: string): TidarError =>
  new TidarError('conflict', `Request ${requestId} is still being generated.`);
const notKept = (): TidarError =>
  new TidarError('not_found', 'The text of this request was not to be stored, and is deleted.');
