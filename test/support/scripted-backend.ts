import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ERRORS, errorBody, type ErrorCode, type ErrorOptions, TidarError } from '@tidar/shared/errors.ts';
import { type LeasePayload, sha256Hex, verifyLease } from '@tidar/shared/lease.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import {
  encodeGenerateEvent,
  type FinishReason,
  type GenerateEvent,
  type GenerateRequest,
  generateRequestSchema,
  PROTOCOL_VERSION,
  type StartEvent,
  type StepEvent,
} from '@tidar/shared/protocol.ts';
import { TEST_SECRETS } from './edge-harness.ts';

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
  /** Cuts the connection in the middle of the answer. */
  die(): void;
  refuse(code: ErrorCode, message: string, options?: ErrorOptions): void;
}
export type Script = (stage: Stage) => Promise<void> | void;

export interface ScriptedBackend {
  url: string;
  seen: Seen[];
  play(script: Script): void;
  /** From now on it says that it is shutting down. */
  drain(): void;
  /** From now on it answers no question about itself. */
  stall(): void;
  /** From now on it says that it speaks this version of the protocol; undefined: it says nothing of it. */
  speak(protocolVersion: number | undefined): void;
  close(): Promise<void>;
}

/**
 * A server that keeps the protocol, then breaks it where a script says so: for the faults that a real backend
 * cannot be asked to have. It is never used where the real one can be.
 */
export async function startScriptedBackend(): Promise<ScriptedBackend> {
  const seen: Seen[] = [];
  let script: Script = (stage) => stage.refuse('overloaded', 'No script is set.');
  let health = 'ok';
  let version: number | undefined = PROTOCOL_VERSION;
  const server = createServer((request, response) => {
    if (health === 'stalled' && request.method === 'GET') return;
    if (request.url === '/health')
      return answer(response, 200, { status: health, models: [SCRIPTED_MODEL.id] });
    if (request.url === '/v1/models')
      return answer(response, 200, { protocol_version: version, models: [SCRIPTED_MODEL] });
    void readRequest(request, response).then(async (entry) => {
      seen.push(entry);
      await script(stageFor(entry, response));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    play: (next) => void (script = next),
    drain: () => void (health = 'draining'),
    stall: () => void (health = 'stalled'),
    speak: (protocolVersion) => void (version = protocolVersion),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readRequest(request: IncomingMessage, response: ServerResponse): Promise<Seen> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  response.once('close', resolve);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = new Uint8Array(Buffer.concat(chunks));
  const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
  return {
    request: parseJson(generateRequestSchema, new TextDecoder().decode(body)),
    lease: await verifyLease(token, [TEST_SECRETS.LEASE_SECRETS], Date.now()),
    bodyHash: await sha256Hex(body),
    closed,
  };
}

function stageFor(seen: Seen, response: ServerResponse): Stage {
  const { request } = seen;
  const numTokens = Array<number>(request.num_choices).fill(0);
  const open = new Set(numTokens.keys());
  const raw = (text: string): Promise<void> =>
    new Promise((resolve) => void (response.write(text) ? resolve() : response.once('drain', resolve)));
  const send = (event: GenerateEvent): Promise<void> => raw(encodeGenerateEvent(event, numTokens));
  const finish = (choice: number, finishReason: FinishReason = 'stop'): Promise<void> => {
    open.delete(choice);
    return send({ type: 'finish', choice, finish_reason: finishReason });
  };
  return {
    seen,
    raw,
    finish,
    start(changes = {}) {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
      const { request_id, model, sampling } = request;
      return send({
        type: 'start',
        request_id,
        prompt_token_ids: [1, 2, 3],
        num_prompt_tokens: 3,
        num_cached_tokens: 1,
        seed: sampling.seed,
        fingerprint: SCRIPTED_MODEL.fingerprint,
        model,
        ...changes,
      });
    },
    step(tokenIds, text, changes = {}) {
      const event = { type: 'step' as const, choice: 0, token_ids: tokenIds, text, ...changes };
      numTokens[event.choice] = (numTokens[event.choice] ?? 0) + tokenIds.length;
      return send(event);
    },
    async end(numCompletionTokens) {
      for (const choice of open) await finish(choice);
      const counts = { completion_tokens: numCompletionTokens, cached_tokens: 1, num_forward_passes: 2 };
      await send({ type: 'end', usage: { prompt_tokens: 3, ...counts } });
      response.end();
    },
    die: () => void response.destroy(),
    refuse: (code, message, options) => {
      const error = new TidarError(code, message, { internal: 'hidden', ...options });
      answer(response, ERRORS[code].httpStatus, errorBody(error));
    },
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
