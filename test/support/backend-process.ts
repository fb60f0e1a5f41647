import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALLOCATOR_ENVIRONMENT } from '../../gpu-backend/src/device/allocator-environment.ts';
import type { JournalAnswer, ReadRequestInput } from '@tidar/shared/journal.ts';
import { journalAnswerSchema, requestPath } from '@tidar/shared/journal.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { hashTokenIds, LEASE_VERSION, sha256Hex, signLease } from '@tidar/shared/lease.ts';
import type { GenerateEvent, GenerateRequestInput, ModelInfo, StepEvent } from '@tidar/shared/protocol.ts';
import { modelListSchema, parseGenerateEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';

const MAIN = fileURLToPath(new URL('../../gpu-backend/src/server/main.ts', import.meta.url));
const START_LIMIT_MS = 60_000;
export const TEST_SECRET = 'a-secret-of-the-tests-of-32-characters-or-more';

export interface BackendProcessOptions {
  readonly modelPath: string;
  /** What LEASE_SECRETS holds; leases are signed with the first. */
  readonly leaseSecrets?: string;
  /** Further flags of server/main.ts. */
  readonly args?: readonly string[];
  /** A journal to go on with, which outlives the process; absent: one of its own, which does not. */
  readonly journal?: string;
  /** To be found again by its leases after a restart; absent: any free one. */
  readonly port?: number;
  /** Another program that serves the same; absent: server/main.ts. */
  readonly main?: string;
  /** What its environment has beside this process's. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The real backend as a process of its own, on a free port. */
export class BackendProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly model: ModelInfo;
  readonly #secret: string;
  readonly #output: () => string;

  private constructor(
    child: ChildProcess,
    url: string,
    model: ModelInfo,
    secret: string,
    output: () => string,
  ) {
    this.child = child;
    this.url = url;
    this.model = model;
    this.#secret = secret;
    this.#output = output;
  }

  /** Starts it and waits until its model is loaded. */
  static async start(options: BackendProcessOptions): Promise<BackendProcess> {
    const { modelPath, leaseSecrets = TEST_SECRET, args = [], journal, port = 0, env = {} } = options;
    const { main = MAIN } = options;
    const folder = mkdtempSync(join(tmpdir(), 'tidar-journal-'));
    const journalPath = journal ?? join(folder, 'journal.sqlite');
    const flags = ['--model', modelPath, '--port', String(port), '--journal', journalPath];
    const child = spawn(process.execPath, [main, ...flags, ...args], {
      env: { ...process.env, ...ALLOCATOR_ENVIRONMENT, LEASE_SECRETS: leaseSecrets, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    let output = '';
    const read = (chunk: Buffer): void => void (output += chunk.toString());
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    const url = await waitForAddress(child, () => output);
    try {
      const model = await modelAt(port === 0 ? url : `http://127.0.0.1:${port}`);
      const [secret = ''] = leaseSecrets.split(',');
      return new BackendProcess(child, url, model, secret, () => output);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** All that it wrote so far. */
  get output(): string {
    return this.#output();
  }

  /** Signals it and gives its exit code; null where the signal itself ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  /** A lease that covers the body, with what a test changes in it. */
  async lease(body: string, changes: Partial<LeasePayload> = {}, secret = this.#secret): Promise<string> {
    const request = safeParse(body);
    const resumed = request.resume?.token_ids;
    const numChoices = request.num_choices ?? 1;
    const payload: LeasePayload = {
      version: LEASE_VERSION,
      purpose: 'generate',
      request_id: request.request_id ?? 'unknown',
      attempt: 0,
      choices: numChoices,
      tenant: 'a tenant',
      fingerprint: this.model.fingerprint,
      first_tokens: resumed?.map(({ length }) => length) ?? Array<number>(numChoices).fill(0),
      end_token: this.model.context_length,
      backend: this.url,
      request_hash: await sha256Hex(new TextEncoder().encode(body)),
      resume_hash: resumed === undefined ? null : await hashTokenIds(resumed),
      expires_at_ms: Date.now() + 60_000,
      ...changes,
    };
    return signLease(payload, secret);
  }

  /** Posts a body under a lease (by default one that covers it). */
  async post(body: string, lease?: string, signal?: AbortSignal): Promise<Response> {
    return this.postTo('/v1/generate', body, lease ?? (await this.lease(body)), signal);
  }

  /** A lease to read what an attempt generated, or to let it go on to `end_token`. */
  async leaseFor(
    purpose: 'read' | 'renew',
    requestId: string,
    body: string,
    changes: Partial<LeasePayload> = {},
  ): Promise<string> {
    return this.lease(body, { purpose, request_id: requestId, resume_hash: null, ...changes });
  }

  /** What its journal knows of an attempt, or its events from there on. */
  async read(
    requestId: string,
    asked: ReadRequestInput,
    changes: Partial<LeasePayload> = {},
  ): Promise<Response> {
    const body = JSON.stringify(asked);
    const lease = await this.leaseFor('read', requestId, body, changes);
    return this.postTo(requestPath(requestId), body, lease);
  }

  /** What its journal knows of an attempt. */
  async journal(requestId: string, attempt = 0): Promise<JournalAnswer> {
    const response = await this.read(requestId, {}, { attempt });
    if (!response.ok) throw new Error(await response.text());
    return journalAnswerSchema.parse(await response.json());
  }

  /** Lets a running generation go on. */
  async renew(requestId: string, endToken: number, changes: Partial<LeasePayload> = {}): Promise<Response> {
    const lease = await this.leaseFor('renew', requestId, '', { end_token: endToken, ...changes });
    return this.postTo(`${requestPath(requestId)}/lease`, '', lease);
  }

  async postTo(path: string, body: string, lease: string, signal?: AbortSignal): Promise<Response> {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${lease}` },
      body,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** A metric's value, summed over those of its labels that are not named. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const [, series = name, labels] = /^([^{]+)\{(.+)\}$/.exec(name) ?? [];
    const values = text
      .split('\n')
      .filter((line) => line.startsWith(`${series} `) || line.startsWith(`${series}{`))
      .filter((line) => labels === undefined || line.includes(labels));
    if (values.length === 0) throw new Error(`no metric ${name}`);
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }
}

/** All events of an answer. */
export async function readEvents(response: Response): Promise<GenerateEvent[]> {
  if (response.body === null) throw new Error('the answer has no body');
  const events: GenerateEvent[] = [];
  for await (const message of decodeSse(response.body)) events.push(parseGenerateEvent(message));
  return events;
}

/** The steps of one choice. */
export const stepsOf = (events: readonly GenerateEvent[], choice = 0): StepEvent[] =>
  events.filter((event) => event.type === 'step' && event.choice === choice) as StepEvent[];

export const tokenIdsOf = (events: readonly GenerateEvent[], choice = 0): number[] =>
  stepsOf(events, choice).flatMap(({ token_ids }) => token_ids);

export const textOf = (events: readonly GenerateEvent[], choice = 0): string =>
  stepsOf(events, choice)
    .map(({ text }) => text)
    .join('');

/** How each choice ended, in the order of their ends. */
export const finishesOf = (events: readonly GenerateEvent[]): [choice: number, reason: string][] =>
  events.flatMap((event) =>
    event.type === 'finish' ? [[event.choice, event.finish_reason] as [number, string]] : [],
  );

/** The events that close a request: the law is that there is exactly one. */
export const closingEvents = (events: readonly GenerateEvent[]): GenerateEvent[] =>
  events.filter(({ type }) => type === 'end' || type === 'error');

function safeParse(body: string): Partial<GenerateRequestInput> {
  try {
    return JSON.parse(body) as Partial<GenerateRequestInput>;
  } catch {
    return {};
  }
}

async function modelAt(url: string): Promise<ModelInfo> {
  // By its own port, where its address leads over a proxy, and not by a kept connection to the process before it.
  const response = await fetch(`${url}/v1/models`, { headers: { connection: 'close' } });
  const [model] = modelListSchema.parse(await response.json()).models;
  if (model === undefined) throw new Error('the backend serves no model');
  return model;
}

async function waitForAddress(child: ChildProcess, output: () => string): Promise<string> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    const address = /^listening\s+(\S+)$/m.exec(output())?.[1];
    if (address !== undefined) return address;
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill('SIGKILL');
  throw new Error(`the backend did not start:\n${output()}`);
}
