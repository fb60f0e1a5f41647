import { signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { readTheme, storeTheme, THEMES } from './theme.ts';
import type { Theme } from './theme.ts';

const theme = signal<Theme>(readTheme());
const NEXT_NAMES: Readonly<Record<Theme, string>> = { system: 'auto', light: 'light', dark: 'dark' };

/** Three waves, each shorter than the one before: drafts that run ahead of the shore. */
function Mark(): JSX.Element {
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      aria-hidden="true"
    >
      <path d="M2 7c2.5-2.4 4.5-2.4 7 0s4.5 2.4 7 0 4-2.3 6-.5" />
      <path d="M2 13c2.5-2.4 4.5-2.4 7 0s4.5 2.4 7 0" />
      <path d="M2 19c2.5-2.4 4.5-2.4 7 0" />
    </svg>
  );
}

export function ThemeToggle(): JSX.Element {
  const turn = (): void => {
    const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
    theme.value = next;
    storeTheme(next);
  };
  return (
    <button type="button" class="button quiet small" onClick={turn}>
      Look: {NEXT_NAMES[theme.value]}
    </button>
  );
}

interface TopbarProps {
  readonly page: 'playground' | 'console';
  readonly children?: ComponentChildren;
}

/** The bar of every page: where one is, where else one may go, and what the page puts at its end. */
export function Topbar({ page, children }: TopbarProps): JSX.Element {
  const current = (name: TopbarProps['page']) => (page === name ? ({ 'aria-current': 'page' } as const) : {});
  return (
    <>
      <a class="skip-link" href="#main">
        Skip to the content
      </a>
      <header class="topbar">
        <a class="brand" href="/">
          <Mark />
          TiDAR
        </a>
        <nav aria-label="Pages">
          <a href="/" {...current('playground')}>
            Playground
          </a>
          <a href="/console" {...current('console')}>
            Console
          </a>
        </nav>
        <div class="end">
          {children}
          <ThemeToggle />
        </div>
      </header>
    </>
  );
}
