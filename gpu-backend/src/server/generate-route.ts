import { TidarError } from '@tidar/shared/errors.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import type { TraceContext } from '@tidar/shared/trace-context.ts';
import type { Backend } from './backend.ts';
import { decodeUtf8, readBody } from './body.ts';
import type { CheckedRequest } from './generations.ts';
import { checkLease, checkLeaseBody, checkLeaseCovers } from './lease-gate.ts';
import { prepareRequest } from './prompt.ts';
import { streamOf } from './requests-route.ts';

/**
 * `POST /v1/generate`. What is wrong before the start throws, and becomes an HTTP error; from then on the answer is a
 * stream of events that exactly one `end` or `error` closes.
 */
export async function handleGenerate(
  backend: Backend,
  httpRequest: Request,
  trace: TraceContext,
): Promise<Response> {
  const receivedAt = performance.now();
  backend.generations.assertTaking();
  const checked = { ...(await checkRequest(backend, httpRequest, receivedAt)), trace };
  const { lease, prepared } = checked;
  // While the request was read, draining may have begun.
  backend.generations.assertTaking();
  backend.generations.start(checked);
  const record = backend.journal.find(lease.request_id, lease.attempt);
  if (record === undefined) throw new TypeError('what was started is not in the journal');
  return streamOf(
    backend,
    record,
    prepared.resumedIds.map(({ length }) => length),
  );
}

async function checkRequest(
  { model, folder, config, instance }: Backend,
  httpRequest: Request,
  receivedAt: number,
): Promise<Omit<CheckedRequest, 'trace'>> {
  const gate = { secrets: config.leaseSecrets, instance, fingerprint: model.fingerprint };
  const authorization = httpRequest.headers.get('authorization') ?? undefined;
  const lease = await checkLease(gate, 'generate', authorization);
  const body = await readBody(httpRequest);
  await checkLeaseBody(lease, body);
  const request = parseJson(generateRequestSchema, decodeUtf8(body));
  await checkLeaseCovers(lease, request);
  if (request.model !== model.id) {
    throw new TidarError('model_not_found', `This backend serves ${model.id}, not ${request.model}.`, {
      param: 'model',
    });
  }
  const prepared = prepareRequest(folder, request, lease, {
    hasDrafter: config.draftModelPath !== undefined,
  });
  return { model, request, lease, prepared, receivedAt };
}
