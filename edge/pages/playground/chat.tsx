import type { JSX } from 'preact';
import { CopyButton } from '../common/copy-button.tsx';
import { Answer } from './answer.tsx';
import { ErrorNote } from './error-note.tsx';
import { EXAMPLES } from './examples.ts';
import type { Example } from './examples.ts';
import { KeyCard } from './key-card.tsx';
import { change, clear, draft, edit, isBusy, key, retry, turns } from './state.ts';
import type { Turn } from './state.ts';
import { decimal } from './statistics.tsx';

export function Chat(): JSX.Element {
  const all = turns.value;
  if (all.length === 0) return <Empty />;
  return (
    <section class="chat" aria-label="Conversation">
      {all.map((turn, at) => (
        <TurnView key={turn.id} turn={turn} isLast={at === all.length - 1} />
      ))}
    </section>
  );
}

function Empty(): JSX.Element {
  const take = ({ prompt, settings }: Example): void => {
    change({ form: 'chat', schema: '', ...settings });
    draft.value = prompt;
    document.getElementById('question')?.focus();
  };
  return (
    <section class="empty">
      <h2 class="hero">Watch a model think ahead</h2>
      <p class="soft">
        TiDAR drafts many tokens at once, as diffusion does, and keeps those that the model itself would have
        written one by one. Each shade of an answer is one forward pass.
      </p>
      {key.value === '' && <KeyCard />}
      <ul class="examples">
        {EXAMPLES.map((example) => (
          <li key={example.title}>
            <button type="button" onClick={() => take(example)}>
              <strong>{example.title}</strong>
              <span>{example.prompt}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function TurnView({ turn, isLast }: { readonly turn: Turn; readonly isLast: boolean }): JSX.Element {
  const { run, question } = turn;
  const state = run.state.value;
  const numShown = run.numShown.value;
  return (
    <article class="turn" data-state={state}>
      <div class="question">
        <p>{question}</p>
        <button
          type="button"
          class="button small quiet"
          onClick={() => edit(turn)}
          aria-label={`Edit: ${question}`}
        >
          Edit
        </button>
      </div>
      {state === 'waiting' && <p class="soft waiting">Waiting for the first pass …</p>}
      {numShown > 0 && <Answer run={run} numShown={numShown} label="Answer" />}
      {run.error !== undefined && <ErrorNote error={run.error} onRetry={retry} />}
      {run.isOver && (
        <div class="row turn-end">
          <span class="soft">{endOf(turn)}</span>
          {run.text !== '' && <CopyButton text={run.text} />}
          {isLast && (
            <>
              <button type="button" class="button small quiet" onClick={retry} disabled={isBusy.value}>
                Retry
              </button>
              <button type="button" class="button small quiet" onClick={clear}>
                New chat
              </button>
            </>
          )}
        </div>
      )}
    </article>
  );
}

function endOf({ run }: Turn): string {
  const { numTokens, numPasses, tokensPerPass } = run.numbers();
  const how = { done: reasonOf(run.finishReason), stopped: 'Stopped', failed: 'Failed' }[
    run.state.value as 'done'
  ];
  return `${how} after ${numTokens} tokens in ${numPasses} passes (${decimal(tokensPerPass)} a pass)${seedOf(run.seed)}`;
}

const reasonOf = (reason: string | undefined): string => (reason === 'length' ? 'Cut at the limit' : 'Ended');
const seedOf = (seed: string | undefined): string => (seed === undefined ? '' : `, seed ${seed}`);
