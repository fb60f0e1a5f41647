import { TidarError } from '@tidar/shared/errors.ts';
import { isRefused, type LedgerStub } from '../ledger/client.ts';

const RETRY_MS = 1_000;

/** Ends a generation, with a word for its client, at the moment when its key is revoked. */
export async function endOnRevocation(
  ledger: LedgerStub,
  requestId: string,
  controller: AbortController,
): Promise<void> {
  while (!controller.signal.aborted) {
    try {
      const state = await ledger.watch(requestId);
      if (isRefused(state)) return controller.abort(TidarError.from(state.error));
      if (!state.isOpen) return;
    } catch {
      // The ledger has moved or restarted: whoever waited there asks again.
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
