import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBody } from './body.ts';
import { createHttpServer } from './http-server.ts';

let server: Server;
let numRequests = 0;
beforeAll(async () => {
  const fetch = async (request: Request): Promise<Response> => {
    numRequests += 1;
    const { byteLength } = await readBody(request);
    return Response.json({ authorization: request.headers.get('authorization'), byteLength });
  };
  server = createHttpServer(fetch, {
    headersTimeout: 150,
    requestTimeout: 300,
    connectionsCheckingInterval: 30,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => void server.close());

/** All that is answered to these bytes, until the connection ends. */
async function send(bytes: string, endsHere = false): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  if (endsHere) socket.end(bytes, 'latin1');
  else socket.write(bytes, 'latin1');
  return textOf(socket);
}
const errorIn = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
const HEAD = 'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n';

describe('a server of HTTP/1.1', () => {
  it.each([
    ['random bytes', '\u0001\u00ff\u0002\r\n\r\n', 400, 'invalid_request'],
    ['a greeting of TLS', '\u0016\u0003\u0001\u0000\u00c8\u0001', 400, 'invalid_request'],
    [
      'a length and chunks',
      `${HEAD}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n`,
      400,
      'invalid_request',
    ],
    ['a head that is too large', `${HEAD}x: ${'x'.repeat(20_000)}\r\n\r\n`, 413, 'payload_too_large'],
    ['a head that does not end', `${HEAD}x: 1\r\n`, 408, 'request_timeout'],
    ['a connection that says nothing', '', 408, 'request_timeout'],
    ['a body that does not come', `${HEAD}content-length: 9\r\n\r\nabc`, 408, 'request_timeout'],
  ])('says in its own words what is wrong with %s', async (_, bytes, status, code) => {
    const answer = await send(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(errorIn(answer)).toMatchObject({ error: { code, message: expect.stringMatching(/\.$/) } });
  });

  it('takes no second Authorization for the only one, nor the first', async () => {
    const twice = `${HEAD}authorization: Bearer a\r\nauthorization: Bearer b\r\ncontent-length: 0\r\n\r\n`;
    expect(errorIn(await send(twice))).toEqual({ authorization: 'Bearer a, Bearer b', byteLength: 0 });
  });

  it('never takes the body of one request for another request', async () => {
    const inner = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
    const before = numRequests;
    const answer = await send(`${HEAD}content-length: ${inner.length}\r\n\r\n${inner}`);
    expect(errorIn(answer)).toEqual({ authorization: null, byteLength: inner.length });
    expect(numRequests).toBe(before + 1);
  });
});
