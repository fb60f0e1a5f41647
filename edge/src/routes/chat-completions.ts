import { toTidarError } from '@tidar/shared/errors.ts';
import { LEASE_VERSION, type LeasePayload, sha256Hex, signLease, utf8 } from '@tidar/shared/lease.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import { tenantOf } from '../auth/tenant.ts';
import type { AppEnv, EdgeConfig } from '../env.ts';
import { accepted, admit, type LedgerStub, ledgerOf } from '../ledger/client.ts';
import { type Price, priceOf } from '../ledger/price.ts';
import { logError } from '../log.ts';
import { holdOf, toGenerateRequest } from '../openai/chat-request.ts';
import { type ChatAnswer, chatChunks, chatCompletion } from '../openai/chat-response.ts';
import { type ChatRequest, chatRequestSchema } from '../openai/chat-schema.ts';
import { openAiErrorBody } from '../openai/errors.ts';
import { inClientTerms } from '../openai/param-names.ts';
import { findBackend, forgetFleet, readFleet } from '../relay/fleet.ts';
import { openGeneration, type Upstream } from '../relay/generation.ts';
import { Meter } from '../relay/meter.ts';
import { MeteredGeneration } from '../relay/metered.ts';
import { endOnRevocation } from '../relay/revocation.ts';
import { streamOf } from '../relay/stream.ts';
import { readJsonText } from './body.ts';
import { answerAgain, idempotencyOf, keptStream } from './idempotency.ts';

const EVENT_STREAM = 'text/event-stream; charset=utf-8';

/** `POST /v1/chat/completions`: authenticate, parse, route, admit, start, relay. */
export async function postChatCompletions(c: Context<AppEnv>): Promise<Response> {
  const config = c.get('config');
  const requestId = c.get('requestId');
  const key = await authenticate(c.req.header('authorization'), config.KEY_SECRETS);
  const text = await readJsonText(c.req.raw);
  const chat = parseJson(chatRequestSchema, text);
  const ledger = ledgerOf(c.env, key.keyId);
  const idempotency = await idempotencyOf(c, text);
  const earlier = idempotency && accepted(await ledger.duplicate(key.secretHash, idempotency));
  if (earlier?.duplicateOf != null) return answerAgain(c, ledger, key, earlier.duplicateOf);

  const { backend, model } = findBackend(await readFleet(config.BACKENDS), chat.model);
  const request = toGenerateRequest(chat, model, requestId);
  const body = utf8(JSON.stringify(request));
  const price = priceOf(config.PRICES, model.id);
  const { headers, refusal, duplicateOf } = await admit(ledger, {
    requestId,
    secretHash: key.secretHash,
    model: model.id,
    fingerprint: model.fingerprint,
    seed: request.sampling.seed,
    price,
    hold: holdOf(request, body, model, price),
    graceMs: config.SETTLE_GRACE_MS,
    ...(chat.user == null ? {} : { user: chat.user }),
    ...(chat.metadata == null ? {} : { metadata: chat.metadata }),
    ...(idempotency === undefined ? {} : { idempotency }),
  });
  c.set('rateLimit', headers);
  if (refusal !== undefined) throw refusal;
  if (duplicateOf !== undefined) return answerAgain(c, ledger, key, duplicateOf);

  const grant = { request, body, model, backend: backend.url, tenant: await tenantOf(key.keyId) };
  const upstream = { url: backend.url, body, lease: await leaseFor(grant, config) };
  const meter = meterOf(ledger, grant, price, config);
  const opened = { ...upstream, numChoices: request.num_choices, requestId };
  const generation = await start(c, ledger, meter, opened, chat);
  const keep = idempotency && keeperOf(ledger, requestId);
  return answer(c, chat, generation, request.num_choices, keep);
}

function meterOf(ledger: LedgerStub, { request, model }: Grant, price: Price, config: EdgeConfig): Meter {
  return new Meter(ledger, {
    requestId: request.request_id,
    numChoices: request.num_choices,
    maxTokens: request.max_tokens,
    contextLength: model.context_length,
    price,
    graceMs: config.SETTLE_GRACE_MS,
  });
}

interface Grant {
  request: GenerateRequest;
  body: Uint8Array<ArrayBuffer>;
  model: ModelInfo;
  backend: string;
  tenant: string;
}

/** What the backend may do: this request, on this instance, from its first token to its last. */
async function leaseFor(
  { request, body, model, backend, tenant }: Grant,
  config: EdgeConfig,
): Promise<string> {
  const [secret = ''] = config.LEASE_SECRETS;
  const payload: LeasePayload = {
    version: LEASE_VERSION,
    purpose: 'generate',
    request_id: request.request_id,
    attempt: 0,
    choices: request.num_choices,
    tenant,
    fingerprint: model.fingerprint,
    first_tokens: Array<number>(request.num_choices).fill(0),
    end_token: request.max_tokens ?? model.context_length,
    backend,
    request_hash: await sha256Hex(body),
    resume_hash: null,
    expires_at_ms: Date.now() + config.LEASE_LIFETIME_MS,
  };
  return signLease(payload, secret);
}

/** Waits for the backend's first event; whatever it refuses is settled at nothing and becomes an HTTP status. */
async function start(
  c: Context<AppEnv>,
  ledger: LedgerStub,
  meter: Meter,
  upstream: Pick<Upstream, 'url' | 'body' | 'lease' | 'numChoices'> & { requestId: string },
  chat: ChatRequest,
): Promise<MeteredGeneration> {
  const { START_TIMEOUT_MS: startTimeoutMs, GAP_TIMEOUT_MS: gapTimeoutMs } = c.get('config');
  const controller = new AbortController();
  void endOnRevocation(ledger, upstream.requestId, controller);
  try {
    const generation = await openGeneration({ ...upstream, startTimeoutMs, gapTimeoutMs }, controller);
    const metered = new MeteredGeneration(generation, meter, controller);
    // Settlement outlives the answer, and the client who leaves it.
    c.executionCtx.waitUntil(metered.settled);
    c.req.raw.signal.addEventListener('abort', () => c.executionCtx.waitUntil(metered.leave()));
    return metered;
  } catch (error) {
    // What was known of the backend may be what misled this request.
    if (toTidarError(error).httpStatus >= 500) forgetFleet();
    await meter.settle('error');
    throw inClientTerms(toTidarError(error), chat);
  }
}

type KeepAnswer = (contentType: string, text: string) => Promise<void>;

/** An answer that cannot be kept is still an answer: only its repetition is refused. */
function keeperOf(ledger: LedgerStub, requestId: string): KeepAnswer {
  return async (contentType, text) => {
    try {
      await ledger.keepAnswer(requestId, contentType, text);
    } catch (error) {
      logError(toTidarError(error), requestId);
    }
  };
}

async function answer(
  c: Context<AppEnv>,
  chat: ChatRequest,
  generation: MeteredGeneration,
  numChoices: number,
  keep: KeepAnswer | undefined,
): Promise<Response> {
  const created = Math.floor(Date.now() / 1000);
  const head: ChatAnswer = { requestId: c.get('requestId'), created, start: generation.start, numChoices };
  if (chat.stream !== true) {
    const text = JSON.stringify(await chatCompletion(head, generation.events));
    await keep?.('application/json', text);
    return c.body(text, 200, { 'content-type': 'application/json' });
  }
  const chunks = chatChunks(head, generation.events, chat.stream_options?.include_usage === true);
  const kept = keep === undefined ? chunks : keptStream(chunks, (text) => keep(EVENT_STREAM, text));
  const stream = streamOf(withErrorChunk(kept, c.get('requestId')), {
    keepAliveMs: c.get('config').KEEP_ALIVE_MS,
    onCancel: () => generation.leave(),
  });
  return c.body(stream, 200, { 'content-type': EVENT_STREAM, 'cache-control': 'no-cache, no-transform' });
}

/** A stream that fails says so and closes without `[DONE]`: its status line was sent long ago. */
async function* withErrorChunk(
  chunks: AsyncGenerator<string, void, void>,
  requestId: string,
): AsyncGenerator<string, void, void> {
  try {
    yield* chunks;
  } catch (thrown) {
    const error = toTidarError(thrown);
    logError(error, requestId);
    yield encodeSse({ data: JSON.stringify(openAiErrorBody(error)) });
  }
}
