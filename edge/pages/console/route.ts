import { signal } from '@preact/signals';

export const VIEWS = ['keys', 'usage', 'requests', 'backends', 'audit', 'receipts'] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  readonly view: View;
  /** What of the view is shown: a key, or a request. */
  readonly id: string | undefined;
}

export const route = signal<Route>(read());

/** The address of a view, as a link has it. */
export function linkTo(view: View, id?: string): string {
  return id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

/** Follows the address from now on. */
export function followAddress(): void {
  addEventListener('hashchange', () => (route.value = read()));
}

function read(): Route {
  const [, name = '', id] = /^#\/([a-z]+)(?:\/(.+))?$/.exec(location.hash) ?? [];
  const view = VIEWS.find((each) => each === name) ?? 'keys';
  return { view, id: id === undefined ? undefined : safeDecode(id) };
}

function safeDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
