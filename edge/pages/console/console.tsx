import type { JSX } from 'preact';
import { Topbar } from '../common/topbar.tsx';
import { AuditView } from './audit-view.tsx';
import { BackendsView } from './backends-view.tsx';
import { KeyView } from './key-view.tsx';
import { KeysView } from './keys-view.tsx';
import { LiveView } from './live-view.tsx';
import { ReceiptsView } from './receipts-view.tsx';
import { linkTo, route, type View } from './route.ts';
import { may, session, signOut } from './session.ts';
import { SignIn } from './sign-in.tsx';
import { UsageView } from './usage-view.tsx';

const TABS: Readonly<Record<View, { name: string; scope: string }>> = {
  keys: { name: 'Keys', scope: 'keys:read' },
  usage: { name: 'Usage', scope: 'usage:read' },
  requests: { name: 'Running', scope: 'usage:read' },
  backends: { name: 'Backends', scope: 'fleet:read' },
  audit: { name: 'Audit log', scope: 'audit:read' },
  receipts: { name: 'Receipts', scope: 'usage:read' },
};

/** The page: signing in, or the views. */
export function Console(): JSX.Element {
  const current = session.value;
  return (
    <>
      <Topbar page="console">
        {current !== undefined && (
          <>
            <span class="soft who" title={`scopes: ${current.scopes.join(', ')}`}>
              {current.name}
            </span>
            <button type="button" class="button quiet small" onClick={() => signOut()}>
              Sign out
            </button>
          </>
        )}
      </Topbar>
      {current !== undefined && <Tabs />}
      <main id="main" class={current === undefined ? 'narrow' : 'wide'}>
        {current === undefined ? <SignIn /> : <Shown />}
      </main>
    </>
  );
}

function Tabs(): JSX.Element {
  const { view } = route.value;
  return (
    <nav class="tabs" aria-label="Console">
      {Object.entries(TABS).map(([name, tab]) => (
        <a
          key={name}
          href={linkTo(name as View)}
          class={may(tab.scope) ? '' : 'barred'}
          {...(view === name ? { 'aria-current': 'page' as const } : {})}
        >
          {tab.name}
          {!may(tab.scope) && <span class="visually-hidden"> (this token may not see it)</span>}
        </a>
      ))}
    </nav>
  );
}

function Shown(): JSX.Element {
  const { view, id } = route.value;
  switch (view) {
    case 'keys':
      return id === undefined ? <KeysView /> : <KeyView key={id} id={id} />;
    case 'usage':
      return <UsageView />;
    case 'requests':
      return <LiveView />;
    case 'backends':
      return <BackendsView />;
    case 'audit':
      return <AuditView />;
    case 'receipts':
      return <ReceiptsView key={id ?? ''} requestId={id} />;
  }
}
