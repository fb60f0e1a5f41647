import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { memo } from 'preact/compat';
import type { Run } from './run.ts';
import { milliseconds } from './statistics.tsx';
import { explained, view } from './state.ts';
import type { ShownPass } from './tokens.ts';

/** So many passes are listed at a time, however long the answer is. */
const PAGE = 24;

const newest = signal<{ readonly run: Run; readonly end: number } | undefined>(undefined);

/** The passes one by one, the latest first, each with what it decided and what came to nothing. */
export function History({ run, numShown }: { readonly run: Run; readonly numShown: number }): JSX.Element {
  const chosen = newest.value?.run === run ? newest.value.end : undefined;
  const end = Math.min(chosen ?? numShown, numShown);
  const first = Math.max(0, end - PAGE);
  const turn = (to: number): void => void (newest.value = { run, end: Math.max(PAGE, to) });
  return (
    <section class="history" aria-label="Passes">
      <ol reversed start={end}>
        {run.passes
          .slice(first, end)
          .toReversed()
          .map((pass) => (
            <Item key={pass.index} run={run} pass={pass} />
          ))}
      </ol>
      <div class="row">
        <button
          type="button"
          class="button small quiet"
          disabled={end >= numShown}
          onClick={() => turn(end + PAGE)}
        >
          Later
        </button>
        <button type="button" class="button small quiet" disabled={first === 0} onClick={() => turn(first)}>
          Earlier
        </button>
        <span class="soft">
          {first + 1}–{end} of {numShown}
        </span>
      </div>
    </section>
  );
}

interface ItemProps {
  readonly run: Run;
  readonly pass: ShownPass;
}

const Item = memo(({ run, pass }: ItemProps): JSX.Element => {
  const { index, stats, tokens, ghost } = pass;
  const explainIt = (): void => {
    explained.value = { run, pass: index };
    view.value = 'how';
  };
  return (
    <li>
      <button type="button" onClick={explainIt}>
        <span class="visually-hidden">How pass {index + 1} worked: </span>
        <span class="pass-text">
          <span class={`pass shade-${index % 6}`}>{shownText(tokens)}</span>
          {ghost !== '' && <del>{ghost.replaceAll('\n', '⏎')}</del>}
        </span>
        {stats !== undefined && (
          <span class="pass-numbers">
            {stats.rows} rows · {tokens.length} of {Math.max(1, stats.drafted)} ·{' '}
            {milliseconds(stats.milliseconds)}
          </span>
        )}
      </button>
    </li>
  );
});

/** On one line where it fits: line ends are shown as marks. */
function shownText(tokens: ShownPass['tokens']): string {
  const text = tokens.map((token) => (token.isSpecial ? '∎' : token.text)).join('');
  return text.replaceAll('\n', '⏎');
}
