import { SseDecoder, type SseMessage } from '@tidar/shared/sse.ts';
import type { RequestRecord, UsageReport } from '../../edge/src/ledger/types.ts';

export interface TokenContent {
  token: string;
  bytes: number[] | null;
  logprob: number;
  top_logprobs: Omit<TokenContent, 'top_logprobs'>[];
}

export interface Logprobs {
  content: TokenContent[];
}

export interface Chunk {
  id: string;
  choices: {
    index: number;
    delta: { role?: string; content?: string };
    logprobs: Logprobs | null;
    finish_reason: string | null;
  }[];
  usage?: Record<string, unknown> | null;
  tidar?: {
    seed?: string;
    prompt_logprobs?: (TokenContent | null)[];
    num_forward_passes?: number;
    choice?: number;
    token_ids?: number[];
    rows?: number;
    drafted?: number;
    accepted?: number;
  };
  error?: { code: string; message: string };
}

export interface Completion {
  id: string;
  choices: {
    index: number;
    message: { content: string };
    logprobs: Logprobs | null;
    finish_reason: string;
  }[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  };
  tidar: { seed: string; num_forward_passes: number; prompt_logprobs?: (TokenContent | null)[] };
  error?: { code: string; message: string; param: string | null };
}

/** The API as bare HTTP: for what a client library would hide. */
export class RawClient {
  readonly url: string;
  readonly key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.key = key;
  }

  post(body: object, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async complete(body: object): Promise<Completion> {
    return (await (await this.post(body)).json()) as Completion;
  }

  async usage(): Promise<UsageReport> {
    const headers = { authorization: `Bearer ${this.key}` };
    return (await (await fetch(`${this.url}/v1/usage?limit=100`, { headers })).json()) as UsageReport;
  }

  /** The newest request's row, once `matches` it is so; settlement may outlive an answer. */
  async lastRequest(matches: (record: RequestRecord) => boolean, timeoutMs = 45_000): Promise<RequestRecord> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const [record] = (await this.usage()).requests;
      if (record !== undefined && matches(record)) return record;
      if (performance.now() > deadline) throw new Error(`never so: ${JSON.stringify(record)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Everything that a stream said. */
export async function readMessages(response: Response): Promise<SseMessage[]> {
  const decoder = new SseDecoder();
  const messages: SseMessage[] = [];
  for await (const bytes of response.body ?? []) messages.push(...decoder.push(bytes as Uint8Array));
  return messages;
}

/** A stream's chunks in order, and whether `[DONE]` closed it. */
export async function readChunks(response: Response): Promise<{ chunks: Chunk[]; isDone: boolean }> {
  const data = (await readMessages(response)).map((message) => message.data);
  const isDone = data.at(-1) === '[DONE]';
  return { chunks: (isDone ? data.slice(0, -1) : data).map((text) => JSON.parse(text) as Chunk), isDone };
}

/** The text of one choice. */
export const textOfChunks = (chunks: readonly Chunk[], choice = 0): string =>
  chunks
    .flatMap(({ choices }) => choices ?? [])
    .filter(({ index }) => index === choice)
    .map(({ delta }) => delta.content ?? '')
    .join('');
