import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';

/** How long a request's head may take to come, and all of it: who sends it by drops holds nothing for longer. */
const TIME_LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000 };
const MAX_HEAD_BYTES = 16 << 10;

/** A server of HTTP/1.1 whose every refusal says why, also of what is no HTTP and never comes to a route. */
export function createHttpServer(
  fetch: (request: Request) => Response | Promise<Response>,
  timeLimits = TIME_LIMITS,
): Server {
  const server = createAdaptorServer({
    fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      ...timeLimits,
      maxHeaderSize: MAX_HEAD_BYTES,
      // A second Authorization must not vanish: the two together are none.
      joinDuplicateHeaders: true,
    },
  }) as Server;
  server.on('clientError', refuse);
  return server;
}

function refuse(thrown: NodeJS.ErrnoException, stream: unknown): void {
  const socket = stream as Socket;
  // Gone, or in the middle of an answer that this would garble.
  if (!socket.writable || socket.bytesWritten > 0) return void socket.destroy();
  const error = refusalOf(thrown.code);
  const status = error.httpStatus;
  const body = JSON.stringify(errorBody(error));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function refusalOf(code: string | undefined): TidarError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const message = 'The request did not come in time: send it at once, and whole.';
    return new TidarError('request_timeout', message);
  }
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    const message = `The head, or the extensions of a chunk, are larger than the ${MAX_HEAD_BYTES} bytes that are read.`;
    return new TidarError('payload_too_large', message);
  }
  const message = 'This is not valid HTTP/1.1: check its head and where its body ends.';
  return new TidarError('invalid_request', message);
}
