import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import { utf8 } from '@tidar/shared/lease.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv, EdgeConfig } from '../env.ts';
import { accepted, admit, ledgerOf } from '../ledger/client.ts';
import { priceOf } from '../ledger/price.ts';
import type { Idempotency, NewRequest, RequestTerms } from '../ledger/types.ts';
import { holdOf } from '../openai/generate-request.ts';
import { chatQuestion, completionQuestion, type Question, responseQuestion } from '../openai/question.ts';
import type { Route } from '../relay/fleet.ts';
import type { Relay } from '../relay/relay.ts';
import { prefixKey } from '../relay/routing.ts';
import { Repetition } from './answer-again.ts';
import { readJsonText } from './body.ts';
import {
  type AnswerForm,
  chunksOf,
  EVENT_STREAM,
  JSON_TYPE,
  streamResponse,
  wholeOf,
} from './chat-answer.ts';
import { beginRelay, type Caller, callerOf, type NewRelay, poolOf } from './chat-relay.ts';
import { recall } from './earlier-answer.ts';
import { idempotencyOf } from './idempotency.ts';
import { AnswerKeeper, keptStream } from './keeper.ts';

/** `POST /v1/chat/completions`. */
export function postChatCompletions(c: Context<AppEnv>): Promise<Response> {
  return generate(c, chatQuestion);
}

/** `POST /v1/completions`. */
export function postCompletions(c: Context<AppEnv>): Promise<Response> {
  return generate(c, completionQuestion);
}

/** `POST /v1/responses`. */
export function postResponses(c: Context<AppEnv>): Promise<Response> {
  return generate(c, responseQuestion);
}

/** Authenticate, parse, route, admit, start, relay. */
async function generate(c: Context<AppEnv>, questionOf: (body: string) => Question): Promise<Response> {
  const { KEY_SECRETS } = c.get('config');
  const requestId = c.get('requestId');
  const key = await authenticate(c.req.header('authorization'), KEY_SECRETS);
  const text = await readJsonText(c);
  const question = questionOf(text);
  const caller = await callerOf(key, ledgerOf(c.env, key.keyId));
  const idempotency = await idempotencyOf(c, text);
  const earlier = idempotency && accepted(await caller.ledger.duplicate(key.secretHash, idempotency));
  const lastEventId = c.req.header('last-event-id');
  if (earlier?.duplicateOf != null) {
    return new Repetition(c, caller, earlier.duplicateOf, question, lastEventId).response();
  }
  if (lastEventId !== undefined) throw nothingToResume();

  const recalled = await recall(c, caller, question);
  const pool = poolOf(c, question.asked.model);
  const routes = await pool.routes(prefixKey(caller.tenant, question.prefix(recalled)));
  const [first] = routes;
  if (first === undefined) throw new Error('a model that is served has a route');
  const request = question.toGenerate(first.model, requestId, recalled);
  const newRequest = newRequestOf(c, caller, { question, request, first, idempotency });
  const { headers, refusal, duplicateOf, grant, createdMs } = await admit(caller.ledger, newRequest);
  c.set('rateLimit', headers);
  if (duplicateOf !== undefined) return new Repetition(c, caller, duplicateOf, question).response();
  if (refusal !== undefined || grant === undefined) throw refusal ?? new Error('admitted without a grant');

  const { terms, fingerprint } = newRequest;
  const sameModel = routes.filter(({ model }) => model.fingerprint === fingerprint);
  const options = { requestId, request, routes: sameModel, fingerprint, grant, terms, pool };
  const relay = await started(c, caller, options, question);
  const { numChoices, includeUsage } = terms;
  const form = {
    requestId,
    createdMs: createdMs ?? Date.now(),
    numChoices,
    includeUsage,
    format: question.format,
  };
  return answer(c, relay, form, question, idempotency === undefined ? undefined : caller);
}

interface Asked {
  question: Question;
  request: GenerateRequest;
  first: Route;
  idempotency: Idempotency | undefined;
}

/** What the ledger is asked to admit. */
function newRequestOf(
  c: Context<AppEnv>,
  { key }: Caller,
  { question, request, first, idempotency }: Asked,
): NewRequest {
  const config = c.get('config');
  const { model, backend } = first;
  const price = priceOf(config.PRICES, model.id);
  const terms = termsOf(question, request, model, backend.url, config);
  const body = utf8(JSON.stringify(request));
  const firstSlice = { ...request, max_tokens: Math.min(terms.maxTokens, terms.sliceTokens) };
  const { asked, metadata } = question;
  return {
    requestId: request.request_id,
    secretHash: key.secretHash,
    model: model.id,
    fingerprint: model.fingerprint,
    seed: request.sampling.seed,
    price,
    hold: holdOf(firstSlice, body, model, price),
    terms,
    graceMs: config.SETTLE_GRACE_MS,
    ...(asked.user == null ? {} : { user: asked.user }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(idempotency === undefined ? {} : { idempotency }),
  };
}

function termsOf(
  { asked, terms }: Question,
  request: GenerateRequest,
  { context_length: contextLength }: ModelInfo,
  backend: string,
  { SLICE_TOKENS: sliceTokens }: EdgeConfig,
): RequestTerms {
  return {
    backend,
    numChoices: request.num_choices,
    maxTokens: Math.min(request.max_tokens ?? contextLength, contextLength),
    contextLength,
    sliceTokens,
    includeUsage: asked.stream_options?.include_usage === true,
    answerTerms: JSON.stringify(terms),
  };
}

/** Whatever every backend refuses is an HTTP status, in the words of this client. */
async function started(
  c: Context<AppEnv>,
  caller: Caller,
  options: NewRelay,
  question: Question,
): Promise<Relay> {
  try {
    return await beginRelay(c, caller, options);
  } catch (error) {
    throw question.inClientTerms(toTidarError(error));
  }
}

/** `keptFor`: who may ask for the same answer again. */
async function answer(
  c: Context<AppEnv>,
  relay: Relay,
  form: AnswerForm,
  question: Question,
  keptFor: Caller | undefined,
): Promise<Response> {
  const { asked, format } = question;
  const keeper = (contentType: string): AnswerKeeper | undefined =>
    keptFor && new AnswerKeeper(keptFor.ledger, form.requestId, 0, contentType);
  if (asked.stream !== true) {
    const text = await wholeOf(relay, form).catch((error: unknown) => {
      throw question.inClientTerms(toTidarError(error));
    });
    await keeper(JSON_TYPE)?.finish(text);
    return c.body(text, 200, { 'content-type': JSON_TYPE });
  }
  const chunks = inTermsOf(question, chunksOf(relay, form));
  const streamKeeper = keeper(EVENT_STREAM);
  const kept = streamKeeper === undefined ? chunks : keptStream(chunks, streamKeeper, format);
  return streamResponse(c, format, kept, () => relay.leave());
}

/** What ends a text in its middle is told in the words of its client as well. */
async function* inTermsOf(
  question: Question,
  chunks: AsyncGenerator<string, void, void>,
): AsyncGenerator<string, void, void> {
  try {
    yield* chunks;
  } catch (error) {
    throw question.inClientTerms(toTidarError(error));
  }
}

function nothingToResume(): TidarError {
  const message =
    'Last-Event-ID goes on with an answer only in the same request with the same Idempotency-Key, within 24 hours. ' +
    'There is none; GET /v1/responses/<id>?stream=true&starting_after=<id> needs no key.';
  return new TidarError('not_found', message);
}
