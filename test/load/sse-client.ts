import type { Agent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { SseDecoder, type SseMessage } from '@tidar/shared/sse.ts';

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: IncomingMessage;
}

/** Posts by node:http, of which a thousand at once cost a measuring process less than as many fetches. */
export function post(agent: Agent, { url, headers, body }: Post, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
    const options = { agent, method: 'POST', headers: { ...all, ...headers }, ...(signal && { signal }) };
    const sent = httpRequest(url, options, (stream) => {
      resolve({ status: stream.statusCode ?? 0, headers: stream.headers, stream });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The messages of an answer as they come; whatever is no stream throws. */
export async function* messagesOf({ status, headers, stream }: Answer): AsyncGenerator<SseMessage> {
  if (status !== 200 || headers['content-type']?.startsWith('text/event-stream') !== true) {
    throw new Error(`status ${status}: ${await textOf(stream)}`);
  }
  const decoder = new SseDecoder();
  for await (const bytes of stream) yield* decoder.push(bytes as Uint8Array);
}

export async function textOf(stream: IncomingMessage): Promise<string> {
  let text = '';
  for await (const bytes of stream) text += (bytes as Buffer).toString();
  return text;
}
