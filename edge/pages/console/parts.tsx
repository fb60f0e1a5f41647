import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { isoTime, time } from './format.ts';
import { may, session } from './session.ts';

/** The head of a view: its name takes the focus when one comes here, so that a screen reader says where one is. */
export function ViewHead({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · TiDAR console`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <div class="view-head">
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      <div class="row">{children}</div>
    </div>
  );
}

/** A table that scrolls by itself where it is wider than the screen, by keyboard too. */
export function Table({
  label,
  heads,
  children,
}: {
  readonly label: string;
  readonly heads: readonly (string | { readonly name: string; readonly isNumber: true })[];
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="table-scroll" role="region" aria-label={label} tabIndex={0}>
      <table>
        <caption class="visually-hidden">{label}</caption>
        <thead>
          <tr>
            {heads.map((head) =>
              typeof head === 'string' ? (
                <th scope="col" key={head}>
                  {head}
                </th>
              ) : (
                <th scope="col" class="number" key={head.name}>
                  {head.name}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export const numeric = (name: string): { readonly name: string; readonly isNumber: true } => ({
  name,
  isNumber: true,
});

export function Problem({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return (
    <p class="note bad" role="alert">
      {children}
    </p>
  );
}

/** What stands where there is nothing yet: what to do about it. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children !== undefined && <div class="soft">{children}</div>}
    </div>
  );
}

export function Waiting(): JSX.Element {
  return (
    <p class="soft waiting" role="status">
      Loading …
    </p>
  );
}

/** Shows what the token may see, or says what it lacks. */
export function Needs({
  scope,
  children,
}: {
  readonly scope: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  if (may(scope)) return <>{children}</>;
  const held = session.value?.scopes.join(', ') ?? '';
  return (
    <Empty title={`This token may not see this: it lacks the scope ${scope}.`}>
      <p>
        It has {held === '' ? 'none' : held}. Whoever has the scope <code>admin</code> makes one that may,
        with <code>npm run admin -- tokens create --name … --scopes {scope}</code>.
      </p>
    </Empty>
  );
}

export function Moment({ ms }: { readonly ms: number }): JSX.Element {
  return (
    <time dateTime={isoTime(ms)} class="nowrap">
      {time(ms)}
    </time>
  );
}

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: string }): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** Over the page until it is closed; Escape closes it unless `isHeld`. */
export function Dialog({
  title,
  isHeld = false,
  onClose,
  children,
}: {
  readonly title: string;
  readonly isHeld?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      onCancel={(event) => isHeld && event.preventDefault()}
      onClose={onClose}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

/** A part of a whole as a bar; the number beside it says the same. */
export function Bar({ part, whole }: { readonly part: number; readonly whole: number }): JSX.Element {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${(share * 100).toFixed(2)}%` }} />
    </span>
  );
}
