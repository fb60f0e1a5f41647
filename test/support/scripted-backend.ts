import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ERRORS,
  errorBody,
  type ErrorCode,
  type ErrorOptions,
  TidarError,
  toTidarError,
} from '@tidar/shared/errors.ts';
import { readRequestSchema } from '@tidar/shared/journal.ts';
import { type LeasePayload, sha256Hex, verifyLease } from '@tidar/shared/lease.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import {
  type FinishReason,
  type GenerateEvent,
  type GenerateRequest,
  generateRequestSchema,
  PROTOCOL_VERSION,
  type StartEvent,
  type StepEvent,
} from '@tidar/shared/protocol.ts';
import { TEST_SECRETS } from './edge-harness.ts';
import { ScriptedJournal } from './scripted-journal.ts';

export const SCRIPTED_MODEL = {
  id: 'scripted',
  fingerprint: 'fp_scripted',
  context_length: 64,
  block_size: 4,
  draft_length: 4,
  auto_draft_length: 4,
  has_tokenizer: true,
  created: 1_790_000_000,
};

/** One request as the backend saw it. */
export interface Seen {
  request: GenerateRequest;
  lease: LeasePayload;
  /** SHA-256 of the body as it came. */
  bodyHash: string;
  /** Resolves when the edge has closed the connection. */
  closed: Promise<void>;
}

/** What a script may do to its one request. */
export interface Stage {
  seen: Seen;
  start(changes?: Partial<StartEvent>): Promise<void>;
  /** One forward pass that decides these tokens, of the first choice if no other is named. */
  step(tokenIds: number[], text: string, changes?: Partial<StepEvent>): Promise<void>;
  /** The end of a choice. */
  finish(choice: number, finishReason?: FinishReason): Promise<void>;
  /** Finishes the choices that are open, then ends the request. */
  end(numCompletionTokens: number): Promise<void>;
  /** Bytes as they are. */
  raw(text: string): Promise<void>;
  /** The process dies in the middle of the answer: the connection is cut, and the journal says so later. */
  die(): void;
  /** The error that closes the request. */
  fail(code: ErrorCode, message: string): Promise<void>;
  refuse(code: ErrorCode, message: string, options?: ErrorOptions): void;
}
export type Script = (stage: Stage) => Promise<void> | void;

export interface ScriptedBackend {
  url: string;
  seen: Seen[];
  /** The leases that renewed a slice. */
  renewals: LeasePayload[];
  play(script: Script): void;
  /** From now on it says that it is shutting down. */
  drain(): void;
  /** From now on it answers no question about itself. */
  stall(): void;
  /** From now on it says again that all is well. */
  recover(): void;
  /** From now on it says that it speaks this version of the protocol; undefined: it says nothing of it. */
  speak(protocolVersion: number | undefined): void;
  close(): Promise<void>;
}

/**
 * A server that keeps the protocol, then breaks it where a script says so: for the faults that a real backend
 * cannot be asked to have. It is never used where the real one can be.
 */
export async function startScriptedBackend(
  changes: Partial<typeof SCRIPTED_MODEL> = {},
): Promise<ScriptedBackend> {
  const model = { ...SCRIPTED_MODEL, ...changes };
  const seen: Seen[] = [];
  const renewals: LeasePayload[] = [];
  const journal = new ScriptedJournal(model);
  let script: Script = (stage) => stage.refuse('overloaded', 'No script is set.');
  let health = 'ok';
  let version: number | undefined = PROTOCOL_VERSION;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.url === '/health') return answer(response, 200, { status: health, models: [model.id] });
    if (request.url === '/v1/models')
      return answer(response, 200, { protocol_version: version, models: [model] });
    const { body, lease } = await received(request);
    if (request.url === '/v1/generate') {
      const entry = await seenIn(body, lease, response);
      seen.push(entry);
      await script(stageFor(entry, response, journal));
    } else if (lease.purpose === 'renew') {
      renewals.push(lease);
      answer(response, 200, { end_token: lease.end_token });
    } else {
      const { from, stream } = parseJson(readRequestSchema, new TextDecoder().decode(body));
      const attempt = journal.find(lease.request_id, lease.attempt);
      if (attempt === undefined) throw new TidarError('not_found', 'This backend knows nothing of it.');
      if (stream) attempt.attach(response, from);
      else answer(response, 200, await attempt.answer());
    }
  };
  const server = createServer((request, response) => {
    if (health === 'stalled' && request.method === 'GET') return;
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else answer(response, toTidarError(error).httpStatus, errorBody(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    renewals,
    play: (next) => void (script = next),
    drain: () => void (health = 'draining'),
    stall: () => void (health = 'stalled'),
    recover: () => void (health = 'ok'),
    speak: (protocolVersion) => void (version = protocolVersion),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function received(
  request: IncomingMessage,
): Promise<{ body: Uint8Array<ArrayBuffer>; lease: LeasePayload }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
  const lease = await verifyLease(token, [TEST_SECRETS.LEASE_SECRETS], Date.now());
  return { body: new Uint8Array(Buffer.concat(chunks)), lease };
}

async function seenIn(
  body: Uint8Array<ArrayBuffer>,
  lease: LeasePayload,
  response: ServerResponse,
): Promise<Seen> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  response.once('close', resolve);
  const request = parseJson(generateRequestSchema, new TextDecoder().decode(body));
  return { request, lease, bodyHash: await sha256Hex(body), closed };
}

function stageFor(seen: Seen, response: ServerResponse, journal: ScriptedJournal): Stage {
  const { request } = seen;
  const attempt = journal.start(seen.lease, request, response);
  const open = new Set(Array.from({ length: request.num_choices }, (_, choice) => choice));
  const send = (event: GenerateEvent): Promise<void> => attempt.tell(event);
  const finish = (choice: number, finishReason: FinishReason = 'stop'): Promise<void> => {
    open.delete(choice);
    return send({ type: 'finish', choice, finish_reason: finishReason });
  };
  return {
    seen,
    raw: (text) => attempt.write(text),
    finish,
    start(changes = {}) {
      const { request_id, model, sampling } = request;
      return send({
        type: 'start',
        request_id,
        prompt_token_ids: [1, 2, 3],
        num_prompt_tokens: 3,
        num_cached_tokens: 1,
        seed: sampling.seed,
        fingerprint: seen.lease.fingerprint,
        model,
        ...changes,
      });
    },
    step(tokenIds, text, changes = {}) {
      return send({ type: 'step' as const, choice: 0, token_ids: tokenIds, text, ...changes });
    },
    async end(numCompletionTokens) {
      for (const choice of open) await finish(choice);
      const counts = { completion_tokens: numCompletionTokens, cached_tokens: 1, num_forward_passes: 2 };
      await send({ type: 'end', usage: { prompt_tokens: 3, ...counts } });
    },
    fail: (code, message) => send({ type: 'error', error: errorBody(new TidarError(code, message)).error }),
    die: () => attempt.die(),
    refuse: (code, message, options) => {
      journal.forget(seen.lease);
      const error = new TidarError(code, message, { internal: 'hidden', ...options });
      answer(response, ERRORS[code].httpStatus, errorBody(error));
    },
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
