import type { Server } from 'node:http';
import type { Backend } from './backend.ts';
import type { Heartbeats } from './heartbeats.ts';

/** For the last bytes of ended streams to reach clients that read. */
const FLUSH_LIMIT_MS = 2000;

/**
 * On the first SIGTERM or SIGINT: no new generation is taken (health says `draining`), those that run may finish until
 * the drain limit and are then ended with an event, the engine is closed, and the process ends with 0. Until then
 * readers may come and go. A second
 * signal ends it at once.
 */
export function shutDownOnSignal(backend: Backend, server: Server, heartbeats: Heartbeats | undefined): void {
  let isShuttingDown = false;
  const onSignal = (): void => {
    // Not by process.exit: it ends the engine's thread, and onnxruntime-node aborts (SIGABRT) in the middle of a run.
    if (isShuttingDown) process.kill(process.pid, 'SIGKILL');
    isShuttingDown = true;
    shutDown(backend, server, heartbeats).then(
      () => process.exit(0),
      (error: unknown) => {
        backend.log('shutdown_failed', { internal: String(error) });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

async function shutDown(backend: Backend, server: Server, heartbeats: Heartbeats | undefined): Promise<void> {
  backend.log('draining', { generations: backend.generations.size });
  const drained = backend.generations.drain(backend.config.drainLimitMs);
  await Promise.all([drained, heartbeats?.beat()]);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), FLUSH_LIMIT_MS);
  await closed;
  clearTimeout(timer);
  await backend.engine.close();
  heartbeats?.stop();
  backend.generations.forgetting.finishAll();
  backend.journal.close();
  backend.log('stopped');
}
