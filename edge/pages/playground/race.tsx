import type { JSX } from 'preact';
import { Answer } from './answer.tsx';
import { ErrorNote } from './error-note.tsx';
import { EXAMPLES } from './examples.ts';
import { order, race, raceQuestion, replay, replayedMs, startRace, stopRace } from './race-state.ts';
import type { Race } from './race-state.ts';
import type { Run } from './run.ts';
import { key, model, settings } from './state.ts';
import { decimal, milliseconds } from './statistics.tsx';

/** The same prompt, seed and text twice: token by token, and by TiDAR. */
export function RaceView(): JSX.Element {
  const shown = race.value;
  const isRunning = shown !== undefined && !(shown.ar.isOver && shown.tidar.isOver);
  const canRace = model.value?.decoders.includes('tidar') === true && key.value !== '';
  return (
    <section class="race" aria-label="Race">
      <form
        class="race-form"
        onSubmit={(event) => {
          event.preventDefault();
          startRace();
        }}
      >
        <div class="field">
          <label for="race-question">The question of both</label>
          <textarea
            class="input"
            id="race-question"
            rows={2}
            placeholder={EXAMPLES[1]?.prompt ?? ''}
            value={raceQuestion.value}
            onInput={(event) => (raceQuestion.value = event.currentTarget.value)}
          />
        </div>
        <fieldset class="order">
          <legend>They run</legend>
          <label>
            <input
              type="radio"
              name="order"
              checked={order.value === 'in-turn'}
              onChange={() => (order.value = 'in-turn')}
            />
            one after the other: each has the device alone, and its time is its own
          </label>
          <label>
            <input
              type="radio"
              name="order"
              checked={order.value === 'at-once'}
              onChange={() => (order.value = 'at-once')}
            />
            at once: they share the device, and slow each other down
          </label>
        </fieldset>
        <div class="row">
          {isRunning ? (
            <button type="button" class="button danger" onClick={stopRace}>
              Stop
            </button>
          ) : (
            <button
              type="submit"
              class="button primary"
              disabled={!canRace || raceQuestion.value.trim() === ''}
            >
              Race
            </button>
          )}
          {EXAMPLES.slice(0, 3).map(({ title, prompt }) => (
            <button
              key={title}
              type="button"
              class="button small quiet"
              onClick={() => (raceQuestion.value = prompt)}
            >
              {title}
            </button>
          ))}
        </div>
      </form>
      {settings.value.beta < 1 && (
        <p class="soft">A race runs at β = 1: below it TiDAR has a text of its own.</p>
      )}
      {shown !== undefined && (
        <>
          <Verdict race={shown} />
          <div class="lanes">
            <Lane name="Autoregressive" run={shown.ar} rival={shown.tidar} />
            <Lane name="TiDAR" run={shown.tidar} rival={shown.ar} />
          </div>
        </>
      )}
    </section>
  );
}

interface LaneProps {
  readonly name: string;
  readonly run: Run;
  readonly rival: Run;
}

function Lane({ name, run, rival }: LaneProps): JSX.Element {
  const numCome = run.numShown.value;
  const replayed = replayedMs.value;
  const numShown =
    replayed === undefined ? numCome : run.passes.filter(({ atMs }) => atMs <= replayed).length;
  const numbers = run.numbers(numShown);
  const shownMs = run.passes[numShown - 1]?.atMs ?? 0;
  const mostMs = Math.max(run.passes.at(-1)?.atMs ?? 0, rival.passes.at(-1)?.atMs ?? 0, 1);
  return (
    <article class="lane" data-state={run.state.value} aria-label={name}>
      <header>
        <h3>{name}</h3>
        <span class="soft">{stateOf(run)}</span>
      </header>
      <div class="lane-time" aria-hidden="true">
        <span style={{ width: `${(100 * shownMs) / mostMs}%` }} />
      </div>
      <p class="lane-numbers">
        <strong>{milliseconds(shownMs)}</strong> · {numbers.numTokens} tokens · {numbers.numPasses} passes ·{' '}
        {decimal(numbers.tokensPerSecond)} tokens a second
      </p>
      <Answer run={run} numShown={numShown} label={`Answer of ${name}`} />
      {run.error !== undefined && <ErrorNote error={run.error} onRetry={startRace} />}
    </article>
  );
}

function stateOf(run: Run): string {
  const names = {
    waiting: 'waits',
    streaming: 'runs',
    done: 'is done',
    stopped: 'was stopped',
    failed: 'failed',
  };
  return names[run.state.value];
}

function Verdict({ race: shown }: { readonly race: Race }): JSX.Element | null {
  const { ar, tidar, order: ran } = shown;
  if (ar.state.value !== 'done' || tidar.state.value !== 'done') return null;
  const [arMs, tidarMs] = [ar.passes.at(-1)?.atMs ?? 0, tidar.passes.at(-1)?.atMs ?? 0];
  const isSame = ar.text === tidar.text;
  return (
    <div class={`note verdict ${isSame ? '' : 'bad'}`} data-same={isSame}>
      <strong>
        {isSame
          ? 'The same text.'
          : `The texts differ from character ${firstDifference(ar.text, tidar.text) + 1} on.`}
      </strong>
      <p>
        {milliseconds(arMs)} in {ar.numbers().numPasses} passes against {milliseconds(tidarMs)} in{' '}
        {tidar.numbers().numPasses}:{' '}
        {tidarMs <= arMs
          ? `TiDAR was ${decimal(arMs / Math.max(1, tidarMs))} times as fast`
          : `TiDAR took ${decimal(tidarMs / Math.max(1, arMs))} times as long`}
        {ran === 'at-once' ? ', while both shared the device' : ', each with the device to itself'}. Seed{' '}
        {shown.seed}.
      </p>
      {!isSame && (
        <p>
          On devices that round otherwise for other numbers of rows, texts may part where two tokens are as
          good as equal.
        </p>
      )}
      <button
        type="button"
        class="button small"
        disabled={replayedMs.value !== undefined}
        onClick={() => replay(shown)}
      >
        Show it again, side by side
      </button>
    </div>
  );
}

function firstDifference(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}
