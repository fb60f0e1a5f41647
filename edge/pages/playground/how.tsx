import { signal } from '@preact/signals';
import type { PassTrace } from '@tidar/shared/trace.ts';
import type { ComponentChildren, JSX } from 'preact';
import { Diagram, STAGES } from './diagram.tsx';
import type { Stage } from './diagram.tsx';
import { EXAMPLES } from './examples.ts';
import { race } from './race-state.ts';
import type { Run } from './run.ts';
import { askQuestion, explained, key, lastRun } from './state.ts';
import { visible } from './tokens.ts';

const stage = signal<Stage>('known');
/** How the page's own example is asked: few rows, and each plainly there. */
const CLEAR = { decoder: 'tidar', plan: 'dense', draftLength: 4, beta: 1 } as const;
/** More rows than that are hard to look at. */
const MAX_CLEAR_ROWS = 48;

const TITLES: Readonly<Record<Stage, string>> = {
  known: 'What is known',
  rows: 'One pass, many rows',
  mask: 'Who sees whom',
  verify: 'Verify',
  commit: 'Keep, and draft on',
};

/** One real pass, step by step. */
export function How(): JSX.Element {
  const run = explained.value?.run ?? lastRun.value ?? race.value?.tidar;
  // Passes that come while it is open are counted in too.
  const numShown = run?.numShown.value ?? 0;
  const places = run === undefined ? [] : placesOf(run, numShown);
  if (run === undefined || places.length === 0) return <Nothing />;
  const wanted = explained.value?.run === run ? explained.value.pass : mostTelling(places);
  const found = places.findLastIndex(({ pass }) => pass === wanted);
  const at = found < 0 ? 0 : found;
  const place = places[at];
  if (place === undefined) return <Nothing />;
  const go = (to: number): void => {
    const next = places[to];
    if (next !== undefined) explained.value = { run, pass: next.pass };
  };
  const move = (by: number): void =>
    void (stage.value = STAGES[STAGES.indexOf(stage.value) + by] ?? stage.value);
  return (
    <section class="how" aria-labelledby="how-title">
      <div class="how-head">
        <h2 id="how-title">
          Pass {place.pass + 1} of {numShown}
        </h2>
        <div class="row">
          <button type="button" class="button small" disabled={at === 0} onClick={() => go(at - 1)}>
            ← Pass before
          </button>
          <button
            type="button"
            class="button small"
            disabled={at === places.length - 1}
            onClick={() => go(at + 1)}
          >
            Next pass →
          </button>
        </div>
      </div>
      <ol class="stages">
        {STAGES.map((name, index) => (
          <li key={name}>
            <button
              type="button"
              aria-current={stage.value === name ? 'step' : undefined}
              onClick={() => (stage.value = name)}
            >
              <span class="stage-number">{index + 1}</span> {TITLES[name]}
            </button>
          </li>
        ))}
      </ol>
      <p class="stage-text" aria-live="polite">
        <Explanation trace={place.trace} decided={place.decided} />
      </p>
      <div class="row">
        <button type="button" class="button" disabled={stage.value === STAGES[0]} onClick={() => move(-1)}>
          Back
        </button>
        <button
          type="button"
          class="button primary"
          disabled={stage.value === STAGES.at(-1)}
          onClick={() => move(1)}
        >
          Forward
        </button>
      </div>
      <div class="diagram-box" role="region" aria-label="The rows of the pass" tabIndex={0}>
        <Diagram trace={place.trace} decidedText={place.decided} stage={stage.value} />
      </div>
      <Legend />
      <p class="soft">
        Drawn from the layout that the engine itself ran: every row, position and seen column of this pass.
      </p>
    </section>
  );
}

interface TracedPlace {
  readonly pass: number;
  readonly trace: PassTrace;
  /** The token that the pass before decided last. */
  readonly decided: string;
}

function placesOf(run: Run, numShown: number): TracedPlace[] {
  let decided = 'end of prompt';
  return run.passes.slice(0, numShown).flatMap(({ index, traces }) =>
    traces.map((trace) => {
      const place = { pass: index, trace, decided };
      decided = trace.tokens.at(-1)?.token ?? decided;
      return place;
    }),
  );
}

/** The pass with the most rows that can still be looked at well, the prompt's own left out. */
function mostTelling(places: readonly TracedPlace[]): number {
  const score = ({ trace }: TracedPlace): number => {
    const numRows = trace.rows.kinds.length;
    return numRows > MAX_CLEAR_ROWS ? 1 : numRows;
  };
  const best = Math.max(...places.slice(1).map(score));
  return places.slice(1).find((place) => score(place) === best)?.pass ?? 0;
}

function Nothing(): JSX.Element {
  const [example] = EXAMPLES;
  return (
    <section class="empty">
      <h2>How a pass works</h2>
      <p class="soft">
        Ask something first: each forward pass of the answer can then be looked at here, row by row.
      </p>
      {key.value !== '' && example !== undefined && (
        <button type="button" class="button primary" onClick={() => askQuestion(example.prompt, CLEAR)}>
          Ask an example
        </button>
      )}
    </section>
  );
}

function Explanation({
  trace,
  decided,
}: {
  readonly trace: PassTrace;
  readonly decided: string;
}): JSX.Element {
  const { rows, prefix, pending_rows: pending, outcomes, tokens, drafts } = trace;
  const token = (text: string): ComponentChildren => <code>{visible(text)}</code>;
  const isDiffusion = outcomes.length === 0 && rows.kinds.includes('mask');
  const numDrafts = rows.kinds.filter((kind) => kind === 'draft').length;
  switch (stage.value) {
    case 'known':
      return (
        <>
          {prefix} tokens come before
          {pending > 0
            ? `, ${pending} of them computed in this very pass`
            : ', all of them in the cache'}.{' '}
          {isDiffusion ? (
            'After them a block of masks is turned into tokens, a few in each pass.'
          ) : (
            <>The pass before decided one more, {token(decided)}, which is not in the cache yet.</>
          )}
        </>
      );
    case 'rows':
      return isDiffusion ? (
        <>
          The block’s {rows.kinds.length} rows: tokens that are fixed already, and masks that each ask what
          stands there.
        </>
      ) : (
        <>
          {rows.kinds.length} rows go through the model together: the decided token, {numDrafts} drafts to
          verify, and {outcomes.length} blocks of masks. Each block drafts what comes next for one way in
          which verification may end, so that positions overlap.
        </>
      );
    case 'mask':
      return isDiffusion ? (
        <>Every row of the block sees all that comes before it, and all of the block, both ways.</>
      ) : (
        <>
          Decided token and drafts see what stands before them, as in plain decoding. A block sees only as
          many of them as its outcome accepts, and its own masks both ways; no block sees another.
        </>
      );
    case 'verify':
      if (isDiffusion) return <>There is nothing to verify: what the masks become is the text.</>;
      return (
        <>
          Each of these rows says what the model itself would say next. Drafts that agree are accepted until
          the first that does not: {tokens.length} {tokens.length === 1 ? 'token is' : 'tokens are'} decided,
          of {drafts.filter(({ row }) => row !== null).length} drafts{' '}
          {drafts.filter(({ accepted }) => accepted).length} were right.
        </>
      );
    case 'commit':
      if (isDiffusion) return <>{trace.predicted.length} masks became tokens in this pass.</>;
      return trace.outcome === null ? (
        <>
          The accepted rows stay in the cache. No block was made for what happened, so the next pass starts
          from the decided token alone.
        </>
      ) : (
        <>
          The accepted rows stay in the cache, as if they had come one by one. The block for{' '}
          {outcomes[trace.outcome]?.accepted} accepted was ready: what it says are the next pass’s drafts. All
          other rows are dropped.
        </>
      );
  }
}

function Legend(): JSX.Element {
  const kinds = [
    ['decided', 'decided token'],
    ['draft', 'draft to verify'],
    ['correction', 'likely correction'],
    ['mask', 'mask that drafts'],
    ['prefix', 'all before'],
  ] as const;
  return (
    <ul class="legend">
      {kinds.map(([kind, name]) => (
        <li key={kind}>
          <span class={`swatch ${kind}`} /> {name}
        </li>
      ))}
    </ul>
  );
}
