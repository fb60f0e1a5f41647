/** Something for the person at the keyboard: one sentence, no stack. */
export class AdminError extends Error {}

/** The admin API of an edge. */
export class AdminApi {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  get(path: string, query: Record<string, string | undefined> = {}): Promise<unknown> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value);
    return this.#ask('GET', search.size === 0 ? path : `${path}?${search.toString()}`);
  }

  post(path: string, body: object = {}): Promise<unknown> {
    return this.#ask('POST', path, body);
  }

  patch(path: string, body: object): Promise<unknown> {
    return this.#ask('PATCH', path, body);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await this.#fetch(method, path, body);
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    throw new AdminError(`The edge refused ${method} ${path} (${response.status}): ${messageOf(text)}`);
  }

  async #fetch(method: string, path: string, body: object | undefined): Promise<Response> {
    try {
      return await fetch(`${this.#url}/admin${path}`, {
        method,
        headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AdminError(`The edge at ${this.#url} cannot be reached: ${reason}.`);
    }
  }
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return text.slice(0, 200);
  }
}
