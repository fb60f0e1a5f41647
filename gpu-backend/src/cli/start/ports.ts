import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { TidarError } from '@tidar/shared/errors.ts';

export const HOST = '127.0.0.1';
const NUM_TRIES = 50;

/** The wanted port, or the next free one that `isReserved` leaves. */
export async function findFreePort(wanted: number, reserved: readonly number[] = []): Promise<number> {
  const last = Math.min(wanted + NUM_TRIES, 65535);
  for (let port = wanted; port <= last; port++) {
    if (!reserved.includes(port) && (await isFree(port))) return port;
  }
  throw new TidarError('internal', `No port from ${wanted} to ${last} is free; name another one.`);
}

/** A port that is free now, whichever. */
export function anyFreePort(): Promise<number> {
  return tryPort(0, HOST);
}

/** Listens on a port for a moment and gives it, 0 being any free one; throws what keeps a server from it. */
export async function tryPort(wanted: number, host: string): Promise<number> {
  const server = createServer();
  server.listen(wanted, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isFree(port: number): Promise<boolean> {
  try {
    await tryPort(port, HOST);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') return false;
    throw error;
  }
}
