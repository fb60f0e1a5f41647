import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { duration, number, timeOfSeconds, units } from './format.ts';
import { RevokeDialog, RotateDialog, useWork } from './key-dialogs.tsx';
import { KeyFields } from './key-fields.tsx';
import { changesOf, formOf, type KeyForm, readForm } from './key-form.ts';
import { stateOf } from './keys.ts';
import { Badge, Bar, Empty, Moment, Needs, numeric, Problem, Table, ViewHead, Waiting } from './parts.tsx';
import { linkTo } from './route.ts';
import { type Key, keySchema, type KeyUsage, keyUsageSchema, type RequestRecord } from './schemas.ts';
import { admin, mayWriteKeys } from './session.ts';
import { useAnswer } from './use-answer.ts';

/** One key: its settings, what it has used, its end. */
export function KeyView({ id }: { readonly id: string }): JSX.Element {
  return (
    <Needs scope="keys:read">
      <ShownKey id={id} />
    </Needs>
  );
}

function ShownKey({ id }: { readonly id: string }): JSX.Element {
  const path = `/keys/${encodeURIComponent(id)}`;
  const { answer, problem, reload } = useAnswer((signal) => admin(keySchema, path, { signal }), id);
  const open = useSignal<'rotate' | 'revoke' | undefined>(undefined);
  const close = (): void => {
    open.value = undefined;
    reload();
  };
  const isOver = answer === undefined || answer.revoked_at !== null;
  return (
    <>
      <p>
        <a href={linkTo('keys')}>All keys</a>
      </p>
      <ViewHead title={answer?.name ?? id}>
        <button
          type="button"
          class="button"
          disabled={isOver || !mayWriteKeys.value}
          onClick={() => (open.value = 'rotate')}
        >
          Rotate the secret
        </button>
        <button
          type="button"
          class="button danger"
          disabled={isOver || !mayWriteKeys.value}
          onClick={() => (open.value = 'revoke')}
        >
          Revoke
        </button>
      </ViewHead>
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && (
        <>
          <p class="row">
            <Badge tone={stateOf(answer).tone}>{stateOf(answer).word}</Badge>
            <span class="mono soft">{answer.id}</span>
            <span class="soft">made {timeOfSeconds(answer.created)}</span>
          </p>
          <div class="columns">
            <Settings key={JSON.stringify(answer)} shown={answer} onSaved={reload} />
            <section class="card" aria-labelledby="used">
              <h2 id="used">Used</h2>
              <Needs scope="usage:read">
                <Used shown={answer} />
              </Needs>
            </section>
          </div>
        </>
      )}
      {open.value === 'rotate' && <RotateDialog id={id} onClose={close} />}
      {open.value === 'revoke' && answer !== undefined && <RevokeDialog shown={answer} onClose={close} />}
    </>
  );
}

function Settings({ shown, onSaved }: { readonly shown: Key; readonly onSaved: () => void }): JSX.Element {
  const before = formOf(shown);
  const form = useSignal<KeyForm>(before);
  const problems = useSignal<Partial<Record<keyof KeyForm, string>>>({});
  const work = useWork();
  const isChanged = JSON.stringify(form.value) !== JSON.stringify(before);
  const isLocked = shown.revoked_at !== null || !mayWriteKeys.value;
  const save = (): void => {
    const read = readForm(form.value);
    problems.value = 'problems' in read ? read.problems : {};
    if ('problems' in read) return;
    const body = changesOf(before, form.value, read.settings);
    void work.run(async () => {
      await admin(keySchema, `/keys/${shown.id}`, { method: 'PATCH', body });
      onSaved();
    });
  };
  return (
    <form
      class="card"
      aria-labelledby="settings"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <h2 id="settings">Limits</h2>
      <KeyFields
        form={form.value}
        problems={problems.value}
        isLocked={isLocked}
        onChange={(next) => (form.value = next)}
      />
      {work.problem !== undefined && <Problem>{work.problem}</Problem>}
      {isLocked ? (
        <p class="soft">
          {shown.revoked_at === null
            ? 'This token lacks the scope keys:write.'
            : 'A revoked key stays as it is.'}
        </p>
      ) : (
        <div class="row">
          <button type="submit" class="button primary" disabled={!isChanged || work.isWorking}>
            {work.isWorking ? 'Saving …' : 'Save'}
          </button>
          <button
            type="button"
            class="button"
            disabled={!isChanged}
            onClick={() => {
              form.value = before;
              problems.value = {};
            }}
          >
            Undo
          </button>
        </div>
      )}
    </form>
  );
}

function Used({ shown }: { readonly shown: Key }): JSX.Element {
  const path = `/keys/${shown.id}/usage?limit=10`;
  const { answer, problem } = useAnswer((signal) => admin(keyUsageSchema, path, { signal }), shown.id, 5000);
  if (problem !== undefined) return <Problem>{problem}</Problem>;
  if (answer === undefined) return <Waiting />;
  const { total, requests } = answer;
  return (
    <>
      <dl class="facts">
        <dt>Requests</dt>
        <dd>{number(total.num_requests)}</dd>
        <dt>Prompt tokens</dt>
        <dd>
          {number(total.prompt_tokens)} <span class="soft">({number(total.cached_tokens)} cached)</span>
        </dd>
        <dt>Completion tokens</dt>
        <dd>{number(total.completion_tokens)}</dd>
        <dt>Cost</dt>
        <dd>{units(total.cost_nanos)}</dd>
        <Budget shown={shown} usage={answer} />
      </dl>
      <h3>Last requests</h3>
      {requests.length === 0 ? (
        <Empty title="None yet.">They come here as soon as they begin.</Empty>
      ) : (
        <Table label="Last requests" heads={['Request', 'When', numeric('Tokens'), 'End']}>
          {requests.map((request) => (
            <LastRequest key={request.id} request={request} />
          ))}
        </Table>
      )}
    </>
  );
}

function LastRequest({ request }: { readonly request: RequestRecord }): JSX.Element {
  const { id, created_ms: createdMs, settled_ms: settledMs, finish_reason: reason } = request;
  const end = settledMs === null ? 'runs' : `${reason ?? ''} after ${duration(settledMs - createdMs)}`;
  return (
    <tr>
      <th scope="row">
        <a class="mono" href={linkTo('receipts', id)}>
          {id.slice(0, 12)}…
        </a>
      </th>
      <td>
        <Moment ms={createdMs} />
      </td>
      <td class="number">{number(request.prompt_tokens + request.completion_tokens)}</td>
      <td>{end}</td>
    </tr>
  );
}

function Budget({
  shown: { budget_tokens: tokens, budget_nanos: nanos },
  usage: { budget },
}: {
  readonly shown: Key;
  readonly usage: KeyUsage;
}): JSX.Element {
  const refills = budget.refills_at === null ? '' : `, whole again ${timeOfSeconds(budget.refills_at)}`;
  return (
    <>
      {tokens !== null && (
        <>
          <dt>Budget in tokens</dt>
          <dd>
            {number(budget.spent_tokens)} of {number(tokens)}, {number(budget.held_tokens)} held{refills}
            <Bar part={budget.spent_tokens} whole={tokens} />
          </dd>
        </>
      )}
      {nanos !== null && (
        <>
          <dt>Budget in money</dt>
          <dd>
            {units(budget.spent_nanos)} of {units(nanos)}, {units(budget.held_nanos)} held{refills}
            <Bar part={budget.spent_nanos} whole={nanos} />
          </dd>
        </>
      )}
    </>
  );
}
