import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { memo } from 'preact/compat';
import { useRef } from 'preact/hooks';
import type { Run } from './run.ts';
import { announced, explained, inspected } from './state.ts';
import type { Place } from './state.ts';
import { sentenceOf } from './inspector.tsx';
import type { ShownPass } from './tokens.ts';

/** Passes that are drawn as one piece: only the last piece is drawn anew as passes come. */
const PASSES_PER_PIECE = 32;
const NUM_SHADES = 6;

interface AnswerProps {
  readonly run: Run;
  /** How many of its passes are shown. */
  readonly numShown: number;
  readonly label: string;
}

/**
 * The answer's tokens, each pass in its own shade. It reads as plain text; the arrow keys go from token to token, and
 * what is known of the token stands in the inspector.
 */
export function Answer({ run, numShown, label }: AnswerProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const place = inspected.value;
    box.current?.querySelectorAll('.token.looked-at').forEach((token) => token.classList.remove('looked-at'));
    if (place?.run === run) tokenAt(box.current, place)?.classList.add('looked-at');
  });
  const look = (event: Event): void => {
    const place = placeOf(run, event.target);
    if (place !== undefined) inspected.value = place;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = neighbour(run, numShown, event.key);
    if (next === undefined) return;
    event.preventDefault();
    inspected.value = next;
    tokenAt(box.current, next)?.scrollIntoView({ block: 'nearest' });
    announced.value = sentenceOf(next);
  };
  const open = (event: Event): void => {
    const place = placeOf(run, event.target);
    if (place !== undefined) explained.value = { run, pass: place.pass };
    look(event);
  };
  const numPieces = Math.ceil(numShown / PASSES_PER_PIECE);
  const isComing = numShown < run.passes.length || !run.isOver;
  return (
    <div
      ref={box}
      class="answer"
      role="group"
      aria-label={label}
      aria-describedby="token-help"
      tabIndex={0}
      onPointerOver={look}
      onClick={open}
      onKeyDown={onKeyDown}
    >
      {Array.from({ length: numPieces }, (_, piece) => (
        <Piece
          key={piece}
          run={run}
          first={piece * PASSES_PER_PIECE}
          end={Math.min(numShown, (piece + 1) * PASSES_PER_PIECE)}
        />
      ))}
      {isComing && <Ghost pass={run.passes[numShown - 1]} />}
    </div>
  );
}

interface PieceProps {
  readonly run: Run;
  readonly first: number;
  readonly end: number;
}

const Piece = memo(({ run, first, end }: PieceProps): JSX.Element => (
  <>
    {run.passes.slice(first, end).map((pass) => (
      <span key={pass.index} class={`pass shade-${pass.index % NUM_SHADES}`} data-pass={pass.index}>
        {pass.tokens.map((token, at) =>
          token.isSpecial ? (
            <span key={at} class="token special" data-token={at} aria-hidden="true" />
          ) : (
            <span key={at} class={`token ${token.draft}`} data-token={at}>
              {token.text}
            </span>
          ),
        )}
      </span>
    ))}
  </>
));

/** What had been drafted and came to nothing, for a moment. */
function Ghost({ pass }: { readonly pass: ShownPass | undefined }): JSX.Element | null {
  if (pass === undefined || pass.ghost === '') return null;
  return (
    <del key={pass.index} class="ghost" aria-hidden="true">
      {pass.ghost}
    </del>
  );
}

function tokenAt(box: HTMLElement | null, { pass, token }: Place): Element | null {
  return box?.querySelector(`[data-pass="${pass}"] > [data-token="${token}"]`) ?? null;
}

function placeOf(run: Run, target: EventTarget | null): Place | undefined {
  if (!(target instanceof HTMLElement)) return undefined;
  const token = target.closest<HTMLElement>('[data-token]');
  const pass = token?.closest<HTMLElement>('[data-pass]');
  if (token == null || pass == null) return undefined;
  return { run, pass: Number(pass.dataset['pass']), token: Number(token.dataset['token']) };
}

/** Where a key leads from the token that is looked at; undefined for other keys. */
function neighbour(run: Run, numShown: number, key: string): Place | undefined {
  const at = inspected.value?.run === run ? inspected.value : undefined;
  const lastPass = numShown - 1;
  if (lastPass < 0) return undefined;
  const first = { run, pass: 0, token: 0 };
  const last = { run, pass: lastPass, token: lastToken(run, lastPass) };
  if (key === 'Home') return first;
  if (key === 'End') return last;
  if (key === 'ArrowRight') {
    if (at === undefined) return first;
    if (at.token < lastToken(run, at.pass)) return { ...at, token: at.token + 1 };
    return at.pass < lastPass ? { run, pass: at.pass + 1, token: 0 } : at;
  }
  if (key === 'ArrowLeft') {
    if (at === undefined) return last;
    if (at.token > 0) return { ...at, token: at.token - 1 };
    return at.pass > 0 ? { run, pass: at.pass - 1, token: lastToken(run, at.pass - 1) } : at;
  }
  if (key === 'ArrowDown') return { run, pass: Math.min(lastPass, (at?.pass ?? -1) + 1), token: 0 };
  if (key === 'ArrowUp') return { run, pass: Math.max(0, (at?.pass ?? 1) - 1), token: 0 };
  return undefined;
}

const lastToken = (run: Run, pass: number): number => Math.max(0, (run.passes[pass]?.tokens.length ?? 1) - 1);
