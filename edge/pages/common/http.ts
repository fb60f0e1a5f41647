import { decodeSse } from '@tidar/shared/sse.ts';
import type { SseMessage } from '@tidar/shared/sse.ts';
import { z } from 'zod';

/** OpenAI's form, as every route of this API refuses. */
export const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    param: z.string().nullish(),
    code: z.string().nullish(),
  }),
});

/** What went wrong, in words for a person. */
export class ApiError extends Error {
  /** 0: there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    message: string,
    { status = 0, code = 'no_answer', param, retryAfterSeconds }: Partial<Omit<ApiError, 'message'>> = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.param = param;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export interface Ask {
  readonly method?: 'GET' | 'POST' | 'PATCH';
  /** A key, or an admin token. */
  readonly token?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Asks this edge; what is not a success throws an ApiError. */
export async function ask(
  path: string,
  { method = 'GET', token, body, signal }: Ask = {},
): Promise<Response> {
  const headers = new Headers();
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError('The server could not be reached.');
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** The answer, checked by its schema. */
export async function askFor<Schema extends z.ZodType>(
  schema: Schema,
  path: string,
  options: Ask = {},
): Promise<z.output<Schema>> {
  const response = await ask(path, options);
  const parsed = schema.safeParse(await response.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  throw new ApiError(`The server answered ${path} in a form that this page does not know.`, {
    status: response.status,
    code: 'unknown_form',
  });
}

/** An answer's events, one chunk at a time; leaving the loop early ends the request. */
export async function* eventsOf(response: Response): AsyncGenerator<SseMessage, void, void> {
  if (response.body === null) throw new ApiError('The server sent an empty answer.');
  yield* decodeSse(response.body);
}

async function refusal(response: Response): Promise<ApiError> {
  const parsed = errorSchema.safeParse(await response.json().catch(() => undefined));
  const { status } = response;
  const after = Number(response.headers.get('retry-after') ?? NaN);
  const retry = Number.isFinite(after) ? { retryAfterSeconds: after } : {};
  if (!parsed.success)
    return new ApiError(`The server answered with status ${status}.`, { status, ...retry });
  const { message, code, param } = parsed.data.error;
  return new ApiError(message, {
    status,
    code: code ?? 'unknown',
    ...(param == null ? {} : { param }),
    ...retry,
  });
}
