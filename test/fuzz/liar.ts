import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JournalAnswer } from '@tidar/shared/journal.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { type GenerateRequest, PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';

export const LIAR_MODEL = {
  id: 'liar',
  fingerprint: 'fp_liar',
  context_length: 256,
  block_size: 4,
  draft_length: 4,
  auto_draft_length: 4,
  has_tokenizer: true,
  created: 1_790_000_000,
};

/** What a lie is told on: one attempt of one request. */
export interface Stage {
  request: GenerateRequest;
  lease: LeasePayload;
  response: ServerResponse;
  /** What its journal says first, when the ledger asks; after that the truth. */
  journal(say: (response: ServerResponse, truth: JournalAnswer) => void): void;
}
export type Lie = (stage: Stage) => void | Promise<void>;

/**
 * A backend that speaks the protocol and lies in it: the real one cannot be asked to. Which lie it tells stands in the
 * request's text, so that many can be told at once.
 */
export class Liar {
  readonly url: string;
  readonly #server: ReturnType<typeof createServer>;
  readonly #lies: ReadonlyMap<string, Lie>;
  /** Of the requests whose journal lies once. */
  readonly #journals = new Map<string, (response: ServerResponse, truth: JournalAnswer) => void>();

  private constructor(server: ReturnType<typeof createServer>, url: string, lies: ReadonlyMap<string, Lie>) {
    this.#server = server;
    this.url = url;
    this.#lies = lies;
  }

  static async start(lies: ReadonlyMap<string, Lie>): Promise<Liar> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const liar = new Liar(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, lies);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => undefined);
      liar.#handle(request, response).catch(() => response.destroy());
    });
    return liar;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(http: IncomingMessage, response: ServerResponse): Promise<void> {
    if (http.url === '/health') return json(response, 200, { status: 'ok', models: [LIAR_MODEL.id] });
    if (http.url === '/v1/models') {
      return json(response, 200, { protocol_version: PROTOCOL_VERSION, models: [LIAR_MODEL] });
    }
    const body = await bodyOf(http);
    const lease = leaseOf(http);
    if (http.url === '/v1/generate') {
      const request = JSON.parse(body) as GenerateRequest;
      const journal: Stage['journal'] = (say) => void this.#journals.set(lease.request_id, say);
      await this.#lies.get(textOf(request))?.({ request, lease, response, journal });
    } else if (lease.purpose === 'read' && !body.includes('"stream":true')) {
      const say = this.#journals.get(lease.request_id);
      this.#journals.delete(lease.request_id);
      const truth = journalOf(lease);
      if (say === undefined) json(response, 200, truth);
      else say(response, truth);
    } else {
      const error = { code: 'not_found', message: 'This backend knows nothing of it.', retryable: false };
      json(response, 404, { error });
    }
  }
}

export function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** The text that a request asks about: the name of the lie. */
function textOf({ input }: GenerateRequest): string {
  if (input.type === 'chat') return String(input.messages.at(-1)?.content);
  return input.type === 'text' ? input.text : '';
}

async function bodyOf(http: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of http) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** It does not check what it is shown: it only wants to know what it may. */
function leaseOf(http: IncomingMessage): LeasePayload {
  const [, payload = ''] = (http.headers.authorization ?? '').split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as LeasePayload;
}

/** What it says of every request later: that nothing came of it. */
function journalOf({ request_id: requestId, attempt, choices }: LeasePayload): JournalAnswer {
  return {
    request_id: requestId,
    attempt,
    state: 'interrupted',
    model: LIAR_MODEL.id,
    fingerprint: LIAR_MODEL.fingerprint,
    seed: '1',
    prompt_token_ids: [1],
    token_ids: Array.from({ length: choices }, () => []),
    token_counts: Array.from({ length: choices }, () => 0),
    tokens_hash: null,
    finish_reasons: Array.from({ length: choices }, () => null),
    usage: { prompt_tokens: 1, completion_tokens: 0, cached_tokens: 0, num_forward_passes: 0 },
  };
}
