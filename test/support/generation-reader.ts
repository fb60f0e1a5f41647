import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JournalAnswer } from '@tidar/shared/journal.ts';
import type { GenerateEvent, GenerateRequestInput } from '@tidar/shared/protocol.ts';
import { parseGenerateEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { BackendProcess, readEvents, tokenIdsOf } from './backend-process.ts';
import { copyModel } from './model-copy.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
export const { prompt } = JSON.parse(readFileSync(`${FIXTURE}/expected.json`, 'utf8')) as {
  prompt: number[];
};
/** So many tokens take a while: whatever a test does, it does it in the middle. */
export const NUM_LONG = 1500;
export const NUM_SHORT = 60;

export interface Place {
  journal?: string;
  port?: number;
}

/** Backends of the golden model with a long context and no end token, and where their journals are. */
export class Backends {
  readonly model = copyModel(FIXTURE, { max_position_embeddings: 16384, eos_token_id: null });
  readonly #folder = mkdtempSync(join(tmpdir(), 'tidar-journals-'));
  #running: BackendProcess[] = [];
  #common: BackendProcess | undefined;

  /** Those of a file's tests: each ends with the test that started it, but for the common one. */
  static ofTests(): Backends {
    const backends = new Backends();
    beforeAll(async () => {
      backends.#common = await backends.start();
    });
    afterEach(() => backends.#stop(backends.#common));
    afterAll(async () => {
      await backends.#stop();
      backends.model.remove();
      rmSync(backends.#folder, { recursive: true });
    });
    return backends;
  }

  /** With all settings as they are; nobody ends it. */
  get common(): BackendProcess {
    if (this.#common === undefined) throw new Error('the common backend has not started');
    return this.#common;
  }

  async start(place: Place = {}, ...args: string[]): Promise<BackendProcess> {
    const backend = await BackendProcess.start({ modelPath: this.model.path, args, ...place });
    this.#running.push(backend);
    return backend;
  }

  /** Where a backend can be found again after its death. */
  async place(): Promise<Required<Place>> {
    const port = await anyFreePort();
    return { port, journal: join(this.#folder, `${port}.sqlite`) };
  }

  /** Ends all, but for one that others go on with. */
  async #stop(kept?: BackendProcess): Promise<void> {
    const ended = this.#running.filter((backend) => backend !== kept);
    await Promise.all(ended.map((backend) => backend.stop('SIGKILL')));
    this.#running = kept === undefined ? [] : [kept];
  }
}

let numRequests = 0;
export const newId = (): string => `request-${(numRequests += 1)}`;
export function bodyOf(requestId: string, changes: Partial<GenerateRequestInput> = {}): string {
  return JSON.stringify({
    request_id: requestId,
    model: 'llama-tidar',
    input: { type: 'tokens', token_ids: prompt },
    max_tokens: NUM_SHORT,
    num_choices: 2,
    sampling: { temperature: 1.2, seed: '7', repetition_penalty: 1.05 },
    decoder: { type: 'tidar', draft_length: 4 },
    ...changes,
  });
}

export interface Reader {
  /** All that it got so far. */
  readonly events: GenerateEvent[];
  /** Reads until so many tokens of the first choice are there. */
  until(numTokens: number): Promise<void>;
  /** Reads on to the end, or to the connection's. */
  rest(): Promise<void>;
}

export function readerOf(response: Response): Reader {
  if (response.body === null) throw new Error('the answer has no body');
  const messages = decodeSse(response.body);
  const events: GenerateEvent[] = [];
  return {
    events,
    async until(numTokens) {
      while (tokenIdsOf(events).length < numTokens) {
        const next = await messages.next();
        if (next.done === true) throw new Error('the stream ended early');
        events.push(parseGenerateEvent(next.value));
      }
    },
    async rest() {
      for await (const message of messages) events.push(parseGenerateEvent(message));
    },
  };
}

export const tokensOf = (events: readonly GenerateEvent[]): number[][] =>
  [0, 1].map((choice) => tokenIdsOf(events, choice));
export const countsOf = (events: readonly GenerateEvent[]): number[] =>
  tokensOf(events).map(({ length }) => length);
export const joined = (...parts: number[][][]): number[][] =>
  [0, 1].map((choice) => parts.flatMap((part) => part[choice] ?? []));

/** The text of a request that nothing disturbs. */
export async function unbroken(
  backend: BackendProcess,
  changes: Partial<GenerateRequestInput> = {},
): Promise<number[][]> {
  return tokensOf(await readEvents(await backend.post(bodyOf(newId(), changes))));
}

export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}

export async function until(
  backend: BackendProcess,
  requestId: string,
  holds: (answer: JournalAnswer) => boolean,
) {
  for (let tries = 0; tries < 400; tries++) {
    const answer = await backend.journal(requestId);
    if (holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come true within 10 s');
}
