import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { number, units } from './format.ts';
import { knownKeys, learnNames, nameOf } from './keys.ts';
import { Badge, Empty, Moment, Needs, Problem, type Tone, ViewHead, Waiting } from './parts.tsx';
import { checkReceipt, type Verdict } from './receipt-check.ts';
import { linkTo } from './route.ts';
import { type Found, foundSchema } from './schemas.ts';
import { admin } from './session.ts';
import { useAnswer } from './use-answer.ts';

/** A request by its id: what it was billed for, and whether that is signed. */
export function ReceiptsView({ requestId }: { readonly requestId: string | undefined }): JSX.Element {
  return (
    <>
      <ViewHead title="Receipts" />
      <Needs scope="usage:read">
        <Receipts requestId={requestId} />
      </Needs>
    </>
  );
}

function Receipts({ requestId }: { readonly requestId: string | undefined }): JSX.Element {
  const entered = useSignal(requestId ?? '');
  const keyId = useSignal('');
  const asked = useSignal(requestId === undefined ? undefined : { id: requestId, keyId: '' });
  useAnswer(learnNames, 'names');
  return (
    <>
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          asked.value = { id: entered.value.trim(), keyId: keyId.value };
          history.replaceState(null, '', linkTo('receipts', asked.value.id));
        }}
      >
        <div class="field grow">
          <label for="request-id">Request id</label>
          <input
            class="input mono"
            id="request-id"
            placeholder="req_…"
            required
            autocomplete="off"
            spellcheck={false}
            value={entered.value}
            onInput={(event) => (entered.value = event.currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for="request-key">Key</label>
          <select
            class="input"
            id="request-key"
            value={keyId.value}
            onChange={(event) => (keyId.value = event.currentTarget.value)}
          >
            <option value="">the 100 used last</option>
            {knownKeys().map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </div>
        <button type="submit" class="button primary">
          Look up
        </button>
      </form>
      {asked.value === undefined ? (
        <Empty title="Which request?">
          Its id is in the header <code>x-request-id</code> of its answer, in the log, and in the lists of{' '}
          <a href={linkTo('requests')}>what runs</a> and of each key.
        </Empty>
      ) : (
        <Receipt key={`${asked.value.id} ${asked.value.keyId}`} {...asked.value} />
      )}
    </>
  );
}

function Receipt({ id, keyId }: { readonly id: string; readonly keyId: string }): JSX.Element {
  const key = keyId === '' ? '' : `?key=${encodeURIComponent(keyId)}`;
  const { answer, problem, reload } = useAnswer(async (signal) => {
    const found = await admin(foundSchema, `/requests/${encodeURIComponent(id)}${key}`, { signal });
    const verdict = found.receipt === null ? undefined : await checkReceipt(found.receipt, signal);
    return { found, verdict };
  }, `${id} ${keyId}`);
  if (problem !== undefined) return <Problem>{problem}</Problem>;
  if (answer === undefined) return <Waiting />;
  const { found, verdict } = answer;
  return (
    <section class="card" aria-labelledby="receipt">
      <div class="row spread">
        <h2 id="receipt" class="mono">
          {found.request.id}
        </h2>
        {verdict === undefined ? (
          <button type="button" class="button small" onClick={reload}>
            Look again
          </button>
        ) : (
          <Badge tone={VERDICTS[verdict].tone}>{VERDICTS[verdict].word}</Badge>
        )}
      </div>
      <p class="soft" role="status">
        {verdict === undefined
          ? 'It still runs: its receipt comes with its bill.'
          : VERDICTS[verdict].meaning(found.receipt?.kid ?? '')}
      </p>
      <Facts found={found} />
      {found.receipt !== null && (
        <details>
          <summary>The signed receipt</summary>
          <pre class="receipt">{JSON.stringify(found.receipt, null, 2)}</pre>
          <p class="soft">
            Kept in a file, it is checked anywhere by{' '}
            <code>npm run verify-receipt -- FILE --keys {location.origin}</code>.
          </p>
        </details>
      )}
    </section>
  );
}

const VERDICTS: Readonly<Record<Verdict, { tone: Tone; word: string; meaning: (kid: string) => string }>> = {
  valid: {
    tone: 'good',
    word: 'signature valid',
    meaning: (kid) => `Checked in this browser against the published key ${kid} (Ed25519).`,
  },
  invalid: {
    tone: 'bad',
    word: 'signature NOT valid',
    meaning: (kid) => `The published key ${kid} did not sign what this receipt says.`,
  },
  'unknown-key': {
    tone: 'bad',
    word: 'unknown key',
    meaning: (kid) => `No published key has the id ${kid}: was RECEIPT_SECRETS changed?`,
  },
  'no-ed25519': {
    tone: 'warn',
    word: 'not checked',
    meaning: () => 'This browser cannot check Ed25519 signatures here; npm run verify-receipt can.',
  },
};

function Facts({ found: { key_id: keyId, request, receipt } }: { readonly found: Found }): JSX.Element {
  const facts: [name: string, value: JSX.Element | string][] = [
    ['Key', <a href={linkTo('keys', keyId)}>{nameOf(keyId)}</a>],
    ['Model', request.model],
    ['Began', <Moment ms={request.created_ms} />],
    ['Billed', request.settled_ms === null ? 'not yet' : <Moment ms={request.settled_ms} />],
    ['End', request.finish_reason ?? 'runs'],
    ['Prompt tokens', `${number(request.prompt_tokens)} (${number(request.cached_tokens)} cached)`],
    ['Completion tokens', number(request.completion_tokens)],
    ['Forward passes', number(request.num_forward_passes)],
    ['Cost', units(request.cost_nanos)],
    ['Attempts', number(request.num_attempts)],
    ...(request.estimated ? [['Bill', 'estimated: its journal was lost'] as [string, string]] : []),
    ...(request.user === null ? [] : [['User', request.user] as [string, string]]),
    ...(receipt === null
      ? []
      : ([
          ['Seed', receipt.receipt.seed ?? 'unknown'],
          ['Fingerprint', receipt.receipt.fingerprint ?? 'unknown'],
          ['Hash of the tokens', receipt.receipt.tokens_hash ?? 'unknown'],
        ] as [string, string][])),
  ];
  return (
    <dl class="facts wide-facts">
      {facts.map(([name, value]) => (
        <div key={name} class={typeof value === 'string' && value.length > 40 ? 'long' : ''}>
          <dt>{name}</dt>
          <dd class={typeof value === 'string' && value.length > 24 ? 'mono' : ''}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
