import { ADMIN_TOKEN } from './edge-harness.ts';

export interface AdminAnswer<Body> {
  status: number;
  body: Body;
}

/** The admin API as bare HTTP. */
export class AdminClient {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token = ADMIN_TOKEN) {
    this.url = url;
    this.token = token;
  }

  async ask<Body>(method: string, path: string, body?: object): Promise<AdminAnswer<Body>> {
    const response = await fetch(`${this.url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Body };
  }

  get<Body>(path: string): Promise<AdminAnswer<Body>> {
    return this.ask('GET', path);
  }

  post<Body>(path: string, body: object = {}): Promise<AdminAnswer<Body>> {
    return this.ask('POST', path, body);
  }
}
