import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { limit, number, timeOfSeconds, units } from './format.ts';
import { NewKeyDialog } from './key-dialogs.tsx';
import { readKeys, stateOf } from './keys.ts';
import { Badge, Empty, Needs, numeric, Problem, Table, ViewHead, Waiting } from './parts.tsx';
import { linkTo } from './route.ts';
import type { Key } from './schemas.ts';
import { mayWriteKeys } from './session.ts';
import { useAnswer } from './use-answer.ts';

/** All keys, and where new ones are made. */
export function KeysView(): JSX.Element {
  const isMaking = useSignal(false);
  return (
    <>
      <ViewHead title="Keys">
        <button
          type="button"
          class="button primary"
          disabled={!mayWriteKeys.value}
          title={mayWriteKeys.value ? undefined : 'This token lacks the scope keys:write.'}
          onClick={() => (isMaking.value = true)}
        >
          Make a key
        </button>
      </ViewHead>
      {!mayWriteKeys.value && (
        <p class="note">
          This token may look at keys and not change them: it lacks the scope <code>keys:write</code>.
        </p>
      )}
      <Needs scope="keys:read">
        <KeyTable isMaking={isMaking.value} onMade={() => (isMaking.value = false)} />
      </Needs>
    </>
  );
}

function KeyTable({
  isMaking,
  onMade,
}: {
  readonly isMaking: boolean;
  readonly onMade: () => void;
}): JSX.Element {
  const { answer, problem, reload } = useAnswer(readKeys, 'keys');
  const wanted = useSignal('');
  const showsEnded = useSignal(false);
  const keys = (answer ?? []).filter(
    (key) =>
      (showsEnded.value || stateOf(key).tone === 'good') &&
      `${key.name ?? ''} ${key.id}`.toLowerCase().includes(wanted.value.toLowerCase()),
  );
  const numEnded = (answer ?? []).filter((key) => stateOf(key).tone !== 'good').length;
  return (
    <>
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && answer.length > 0 && (
        <div class="filters">
          <div class="field">
            <label for="key-filter">Find</label>
            <input
              class="input"
              id="key-filter"
              type="search"
              placeholder="name or id"
              value={wanted.value}
              onInput={(event) => (wanted.value = event.currentTarget.value)}
            />
          </div>
          {numEnded > 0 && (
            <label class="row check">
              <input
                type="checkbox"
                checked={showsEnded.value}
                onChange={(event) => (showsEnded.value = event.currentTarget.checked)}
              />
              Revoked and expired too ({number(numEnded)})
            </label>
          )}
        </div>
      )}
      {answer !== undefined && answer.length === 0 && (
        <Empty title="There is no key yet.">
          Make one: whoever has it may use <code>/v1</code> up to the limits that you give it.
        </Empty>
      )}
      {answer !== undefined && answer.length > 0 && keys.length === 0 && (
        <Empty title="No key is like that.">Change what is looked for, or show ended keys too.</Empty>
      )}
      {keys.length > 0 && (
        <Table
          label="Keys"
          heads={[
            'Name',
            'State',
            'Models',
            numeric('Requests/min'),
            numeric('Tokens/min'),
            numeric('Streams'),
            'Budget',
            'Made',
          ]}
        >
          {keys.map((key) => (
            <KeyRow key={key.id} shown={key} />
          ))}
        </Table>
      )}
      {isMaking && (
        <NewKeyDialog
          onClose={() => {
            onMade();
            reload();
          }}
        />
      )}
    </>
  );
}

function KeyRow({ shown }: { readonly shown: Key }): JSX.Element {
  const { word, tone } = stateOf(shown);
  return (
    <tr>
      <th scope="row" class="name">
        <a href={linkTo('keys', shown.id)}>{shown.name ?? 'unnamed'}</a>
        <span class="mono soft">{shown.id}</span>
      </th>
      <td>
        <Badge tone={tone}>{word}</Badge>
      </td>
      <td>{shown.models === null ? 'all' : shown.models.join(', ') || 'none'}</td>
      <td class="number">{number(shown.requests_per_minute)}</td>
      <td class="number">{limit(shown.tokens_per_minute)}</td>
      <td class="number">{limit(shown.concurrent_streams)}</td>
      <td class="nowrap">{budgetOf(shown)}</td>
      <td class="nowrap">{timeOfSeconds(shown.created)}</td>
    </tr>
  );
}

function budgetOf({ budget_tokens: tokens, budget_nanos: nanos, budget_refill: refill }: Key): string {
  const parts = [
    ...(tokens === null ? [] : [`${number(tokens)} tokens`]),
    ...(nanos === null ? [] : [`${units(nanos)} units`]),
  ];
  return parts.length === 0 ? 'none' : `${parts.join(', ')}${refill === null ? '' : ` ${refill}`}`;
}
