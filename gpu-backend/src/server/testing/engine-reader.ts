import { TidarError } from '@tidar/shared/errors.ts';
import { CREDIT_WINDOW } from '../engine-client.ts';
import type { EngineClient } from '../engine-client.ts';
import type { EngineEvent, EngineRequest } from '../engine-messages.ts';
import { EventChannel } from '../event-channel.ts';

type Told = EngineEvent | TidarError;

/**
 * Submits a request at once; gives its events one by one, each step in exchange for another. Leaving the loop, and the
 * signal, cancel it.
 */
export function generate(
  client: EngineClient,
  request: EngineRequest,
  signal?: AbortSignal,
): AsyncGenerator<EngineEvent, void, undefined> {
  const channel = new EventChannel<Told>(request.numChoices * (CREDIT_WINDOW + 1) + 2);
  const ticket = client.submit(request, {
    onEvent: (event) => channel.push(event),
    onFailure: (error) => channel.push(error),
  });
  const cancel = (): void => ticket.cancel(new TidarError('cancelled', 'The generation was cancelled.'));
  signal?.addEventListener('abort', cancel);
  return read();

  async function* read(): AsyncGenerator<EngineEvent, void, undefined> {
    try {
      for (;;) {
        const event = await channel.next();
        if (event === undefined) throw new TypeError('nobody lets this reader fall behind');
        if (event instanceof TidarError) throw event;
        if (event.type === 'step') ticket.addCredits(1);
        yield event;
        if (event.type === 'end') return;
      }
    } finally {
      cancel();
    }
  }
}
