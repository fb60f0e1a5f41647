import { TidarError } from '@tidar/shared/errors.ts';
import type { JournalAnswer } from '@tidar/shared/journal.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import type { Context } from 'hono';
import type { ApiKey } from '../auth/api-key.ts';
import { tenantOf } from '../auth/tenant.ts';
import type { AppEnv, EdgeConfig } from '../env.ts';
import type { LedgerStub } from '../ledger/client.ts';
import type { Attachment, Grant, RequestTerms } from '../ledger/types.ts';
import { Account } from '../relay/account.ts';
import { logAnswer } from '../relay/answer-log.ts';
import { isForAnother, publicError } from '../relay/failures.ts';
import type { Route } from '../relay/fleet.ts';
import { Instance, type LeaseSettings } from '../relay/instance.ts';
import { Pool } from '../relay/pool.ts';
import { type Position, startPosition } from '../relay/position.ts';
import { Relay } from '../relay/relay.ts';
import { prefixKey } from '../relay/routing.ts';
import { type KnownTokens, Tally } from '../relay/tally.ts';
import type { Timeouts } from '../relay/upstream.ts';
import { fleetSource } from './fleet-source.ts';

const JOURNAL_RETRY_MS = 500;

/** Who asks, and where the money is. */
export interface Caller {
  key: ApiKey;
  ledger: LedgerStub;
  tenant: string;
}

export async function callerOf(key: ApiKey, ledger: LedgerStub): Promise<Caller> {
  return { key, ledger, tenant: await tenantOf(key.keyId) };
}

export const poolOf = (c: Context<AppEnv>, modelId: string): Pool => new Pool(fleetSource(c), modelId);

export interface NewRelay {
  requestId: string;
  request: GenerateRequest;
  routes: readonly Route[];
  fingerprint: string;
  grant: Grant;
  terms: RequestTerms;
  pool: Pool;
}

/** Starts an admitted request. */
export async function beginRelay(c: Context<AppEnv>, caller: Caller, options: NewRelay): Promise<Relay> {
  const { requestId, request, fingerprint, grant, terms, pool } = options;
  const config = c.get('config');
  const { numChoices } = terms;
  const { tenant } = caller;
  const tally = new Tally(numChoices);
  const account = accountOf(c, caller, { requestId, grant, reader: 0, terms, isBilled: false }, tally);
  const relay = new Relay({
    ...relaySettings(config),
    account,
    tally,
    identity: { requestId, numChoices, tenant, fingerprint, trace: c.get('trace') },
    request,
    prefixKey: prefixKey(tenant, request.input),
    pool,
    contextLength: terms.contextLength,
    position: startPosition(numChoices),
  });
  await relay.begin(options.routes);
  return outliving(c, relay);
}

export interface TakeOver {
  requestId: string;
  attachment: Attachment;
  /** Where the client has the answer. */
  position: Position;
  /** The request, for where the journal cannot be asked; absent: only the journal knows it. */
  ask?: (() => Promise<GenerateRequest>) | undefined;
}

/**
 * Takes an answer over: what there is of it its journal tells; what is missing, its backend or another one of the same
 * fingerprint generates.
 */
export async function attachRelay(c: Context<AppEnv>, caller: Caller, options: TakeOver): Promise<Relay> {
  const config = c.get('config');
  const { requestId, attachment, position } = options;
  const { terms, backend, fingerprint, reader } = attachment;
  const { numChoices, contextLength } = terms;
  const identity = { requestId, numChoices, tenant: caller.tenant, fingerprint, trace: c.get('trace') };
  const settings = relaySettings(config);
  const accountFor = (tally: Tally): Account => {
    const isBilled = attachment.state === 'settled';
    return accountOf(c, caller, { requestId, grant: attachment, reader, terms, isBilled }, tally);
  };
  const instance = instanceOf(c, caller, requestId, attachment);
  const { journal, request } = await knownOf(instance, options, config.FAILOVER_MS).catch(async (error) => {
    // Nobody relays it now: whoever comes next may.
    await accountFor(new Tally(numChoices)).leave();
    throw error;
  });
  const tally = new Tally(numChoices, knownUpTo(journal, position));
  const relay = new Relay({
    ...settings,
    account: accountFor(tally),
    tally,
    identity,
    request,
    prefixKey: prefixKey(caller.tenant, request?.input ?? {}),
    pool: poolOf(c, attachment.model),
    contextLength,
    position,
  });
  await relay.attach(backend);
  return outliving(c, relay);
}

/** The instance that has what there is of an answer. */
export function instanceOf(
  c: Context<AppEnv>,
  { tenant }: Caller,
  requestId: string,
  { started, attempt, backend, fingerprint, terms }: Attachment,
): Instance {
  const at = started ?? { attempt, backend };
  const identity = { requestId, numChoices: terms.numChoices, tenant, fingerprint, trace: c.get('trace') };
  return new Instance(at.backend, identity, at.attempt, relaySettings(c.get('config')));
}

/** What there is of the answer, and what was asked for, of each as far as anybody knows it. */
async function knownOf(
  instance: Instance,
  options: TakeOver,
  limitMs: number,
): Promise<{ journal: JournalAnswer | undefined; request: GenerateRequest | undefined }> {
  const journal = await journalFor(instance, options, limitMs);
  const request = journal === undefined ? await options.ask?.() : withoutResume(journal.request);
  return { journal, request };
}

/**
 * What the journal knows of the attempt that is taken over. Undefined where it knows nothing, and nothing is needed of
 * it: the client has no token yet, and the request is known.
 */
async function journalFor(
  instance: Instance,
  { attachment, position, ask }: TakeOver,
  limitMs: number,
): Promise<JournalAnswer | undefined> {
  const isDispensable = ask !== undefined && position.tokens.every((count) => count === 0);
  const deadlineMs = Date.now() + limitMs;
  for (;;) {
    try {
      const journal = await instance.journal();
      assertReadable(journal, attachment, position);
      return journal;
    } catch (error) {
      if (!isForAnother(error)) throw publicError(error);
      if (isDispensable) return undefined;
      // It had it: no other try finds it again.
      if (attachment.started !== undefined && isUnknown(error)) throw journalLost();
      if (error instanceof TidarError || Date.now() + JOURNAL_RETRY_MS > deadlineMs) throw noJournal(error);
    }
    await new Promise((resolve) => setTimeout(resolve, JOURNAL_RETRY_MS));
  }
}

/** No token goes to a client that is not, or will not be, in a bill; and none is asked for that is not there. */
function assertReadable(journal: JournalAnswer, attachment: Attachment, { tokens }: Position): void {
  const { token_counts: counts, token_ids: tokenIds } = journal;
  const numThere = counts.reduce((total, count) => total + count, 0);
  if (attachment.state === 'settled' && numThere > attachment.completionTokens) {
    const message = 'This request was ended early, and billed for what had been delivered by then.';
    throw new TidarError('conflict', message);
  }
  if (tokenIds === null) {
    throw new TidarError('not_found', 'The answer of this request was not to be stored, and is deleted.');
  }
  if (tokens.some((count, choice) => count > (counts[choice] ?? 0))) {
    throw new TidarError('invalid_request', 'The answer has not come as far as the place to go on from.');
  }
}

/** What another attempt is resumed with, should the one that is taken over be lost before it is read. */
function knownUpTo(journal: JournalAnswer | undefined, { tokens }: Position): KnownTokens {
  return {
    promptTokenIds: journal?.prompt_token_ids ?? [],
    tokenIds: tokens.map((count, choice) => journal?.token_ids?.[choice]?.slice(0, count) ?? []),
  };
}

function withoutResume(request: GenerateRequest | undefined): GenerateRequest | undefined {
  if (request === undefined) return undefined;
  const { resume: _, ...rest } = request;
  return rest;
}

const isUnknown = (error: unknown): boolean => error instanceof TidarError && error.code === 'not_found';

function journalLost(): TidarError {
  const message =
    'What there is of this answer is kept no more: nobody can go on with it. Send the request again.';
  return new TidarError('not_found', message);
}

function noJournal(cause: unknown): TidarError {
  const message = 'What there is of this answer cannot be read at the moment. Try again soon.';
  return new TidarError('backend_unavailable', message, { internal: String(cause), retryAfterMs: 2_000 });
}

/** Its bill outlives the answer, and the client who leaves it. */
function outliving(c: Context<AppEnv>, relay: Relay): Relay {
  const { account, tally } = relay.options;
  const log = (): void => logAnswer(c.get('log'), account, tally, c.get('receivedAt'));
  c.executionCtx.waitUntil(relay.settled.then(log));
  c.req.raw.signal.addEventListener('abort', () => c.executionCtx.waitUntil(relay.leave()));
  return relay;
}

interface AccountFor {
  requestId: string;
  grant: Grant;
  reader: number;
  terms: Omit<RequestTerms, 'backend'>;
  isBilled: boolean;
}

function accountOf(
  c: Context<AppEnv>,
  { ledger }: Caller,
  { requestId, grant, reader, terms, isBilled }: AccountFor,
  tally: Tally,
): Account {
  const { maxTokens, contextLength, sliceTokens } = terms;
  const { SETTLE_GRACE_MS: graceMs, LEAVE_GRACE_MS: leaveGraceMs } = c.get('config');
  const limits = { maxTokens, contextLength, sliceTokens, graceMs, leaveGraceMs };
  return new Account({ ledger, requestId, reader, grant, isBilled, log: c.get('log'), ...limits }, tally);
}

function relaySettings(config: EdgeConfig): {
  leases: LeaseSettings;
  timeouts: Timeouts;
  failoverMs: number;
} {
  const [secret = ''] = config.LEASE_SECRETS;
  return {
    leases: { secret, lifetimeMs: config.LEASE_LIFETIME_MS },
    timeouts: {
      connectMs: config.CONNECT_TIMEOUT_MS,
      startMs: config.START_TIMEOUT_MS,
      gapMs: config.GAP_TIMEOUT_MS,
    },
    failoverMs: config.FAILOVER_MS,
  };
}
