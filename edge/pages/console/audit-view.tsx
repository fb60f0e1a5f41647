import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { learnNames, nameOf } from './keys.ts';
import { Empty, Moment, Needs, Problem, Table, ViewHead, Waiting } from './parts.tsx';
import { linkTo } from './route.ts';
import { type AuditEntry, auditListSchema } from './schemas.ts';
import { admin } from './session.ts';
import { useAnswer } from './use-answer.ts';

const PAGE = 50;

/** Every change, newest first, a page at a time. */
export function AuditView(): JSX.Element {
  return (
    <>
      <ViewHead title="Audit log" />
      <Needs scope="audit:read">
        <Audit />
      </Needs>
    </>
  );
}

function Audit(): JSX.Element {
  /** Where each page before this one began; the last is this one's. Undefined: at the newest. */
  const trail = useSignal<readonly (number | undefined)[]>([undefined]);
  const before = trail.value.at(-1);
  const { answer, problem } = useAnswer(async (signal) => {
    const query = before === undefined ? '' : `&before=${before}`;
    const [list] = await Promise.all([
      admin(auditListSchema, `/audit?limit=${PAGE}${query}`, { signal }),
      learnNames(),
    ]);
    return list;
  }, String(before));
  const last = answer?.data.at(-1);
  return (
    <>
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && answer.data.length === 0 && (
        <Empty title="Nothing has been changed yet.">
          Making a key is a change, and so is all that comes after.
        </Empty>
      )}
      {answer !== undefined && answer.data.length > 0 && (
        <>
          <Table label="Changes" heads={['When', 'What', 'Of', 'By', 'In detail']}>
            {answer.data.map((entry) => (
              <Change key={entry.id} entry={entry} />
            ))}
          </Table>
          <div class="row pager">
            <button
              type="button"
              class="button"
              disabled={trail.value.length === 1}
              onClick={() => (trail.value = trail.value.slice(0, -1))}
            >
              Newer
            </button>
            <button
              type="button"
              class="button"
              disabled={!answer.has_more || last === undefined}
              onClick={() => (trail.value = [...trail.value, last?.id])}
            >
              Older
            </button>
            <span class="soft">Page {trail.value.length}</span>
          </div>
        </>
      )}
    </>
  );
}

function Change({ entry }: { readonly entry: AuditEntry }): JSX.Element {
  const isOfKey = entry.action.startsWith('key.');
  return (
    <tr>
      <td>
        <Moment ms={entry.at_ms} />
      </td>
      <th scope="row">{entry.action}</th>
      <td>
        {isOfKey ? (
          <a href={linkTo('keys', entry.subject)}>{nameOf(entry.subject)}</a>
        ) : (
          <span class="mono">{entry.subject}</span>
        )}
      </td>
      <td class="mono">{entry.actor}</td>
      <td class="detail">{detailOf(entry.detail)}</td>
    </tr>
  );
}

/** What was given, without what was left as it is by default. */
function detailOf(detail: unknown): string {
  if (typeof detail !== 'object' || detail === null) return '';
  return Object.entries(detail)
    .filter(([, value]) => value !== null && JSON.stringify(value) !== '{}')
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ');
}
