import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { duration, number, perForward } from './format.ts';
import { learnNames, nameOf } from './keys.ts';
import { Badge, Bar, Empty, Needs, numeric, Problem, Table, ViewHead, Waiting } from './parts.tsx';
import { linkTo } from './route.ts';
import { type Live, liveListSchema } from './schemas.ts';
import { admin } from './session.ts';
import { useAnswer } from './use-answer.ts';

const EVERY_MS = 2_000;
const MOST = 200;

/** The requests that run now, asked for again and again. */
export function LiveView(): JSX.Element {
  const isPaused = useSignal(false);
  return (
    <>
      <ViewHead title="Running">
        <button
          type="button"
          class="button"
          aria-pressed={isPaused.value}
          onClick={() => (isPaused.value = !isPaused.value)}
        >
          {isPaused.value ? 'Go on' : 'Hold still'}
        </button>
      </ViewHead>
      <Needs scope="usage:read">
        <LiveTable everyMs={isPaused.value ? undefined : EVERY_MS} />
      </Needs>
    </>
  );
}

async function readLive(signal: AbortSignal): Promise<{ requests: Live[]; hasMore: boolean }> {
  const [list] = await Promise.all([
    admin(liveListSchema, `/requests?limit=${MOST}`, { signal }),
    learnNames(),
  ]);
  return { requests: list.data, hasMore: list.has_more };
}

function LiveTable({ everyMs }: { readonly everyMs: number | undefined }): JSX.Element {
  const { answer, problem } = useAnswer(readLive, 'live', everyMs);
  return (
    <>
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && answer.requests.length === 0 && (
        <Empty title="Nothing runs now.">
          Requests come here while they are answered. The <a href="/">playground</a> makes some.
        </Empty>
      )}
      {answer !== undefined && answer.requests.length > 0 && (
        <Table
          label="Running requests"
          heads={[
            'Request',
            'Key',
            'Model',
            'State',
            'Tokens so far',
            numeric('Per forward'),
            numeric('For'),
            'Backend',
          ]}
        >
          {answer.requests.map((request) => (
            <LiveRow key={request.id} request={request} />
          ))}
        </Table>
      )}
      {answer?.hasMore === true && <p class="soft">There are more: the newest {MOST} are shown.</p>}
    </>
  );
}

function LiveRow({ request }: { readonly request: Live }): JSX.Element {
  const most = request.max_tokens * request.num_choices;
  const numPasses = request.num_forward_passes;
  return (
    <tr>
      <th scope="row">
        <a class="mono" href={linkTo('receipts', request.id)}>
          {request.id.slice(0, 12)}…
        </a>
      </th>
      <td>
        <a href={linkTo('keys', request.key_id)}>{nameOf(request.key_id)}</a>
      </td>
      <td>{request.model}</td>
      <td>
        <State request={request} />
      </td>
      <td class="share">
        <Bar part={request.completion_tokens} whole={most} />
        <span class="nowrap">
          {number(request.completion_tokens)} <span class="soft">of {number(most)}</span>
        </span>
      </td>
      <td class="number">{perForward(request.completion_tokens, numPasses, request.num_choices)}</td>
      <td class="number nowrap">{duration(Math.max(0, Date.now() - request.created_ms))}</td>
      <td class="mono">{request.backend ?? 'unknown'}</td>
    </tr>
  );
}

function State({ request }: { readonly request: Live }): JSX.Element {
  if (request.client_left) return <Badge tone="warn">client left</Badge>;
  if (!request.has_started) return <Badge tone="plain">waits</Badge>;
  if (request.num_attempts > 1) return <Badge tone="warn">{`attempt ${request.num_attempts}`}</Badge>;
  return <Badge tone="good">streams</Badge>;
}
