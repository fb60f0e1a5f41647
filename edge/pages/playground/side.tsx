import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { Code } from './code.tsx';
import { Controls } from './controls.tsx';
import { History } from './history.tsx';
import { Inspector } from './inspector.tsx';
import { inspected, lastRun, view } from './state.ts';
import { race } from './race-state.ts';
import { Statistics } from './statistics.tsx';

const PANELS = [
  ['passes', 'Passes'],
  ['settings', 'Settings'],
  ['code', 'Code'],
] as const;
type Panel = (typeof PANELS)[number][0];

const panel = signal<Panel>('passes');

/** Beside the text: what the model did, how it is asked, and the request as code. */
export function Side(): JSX.Element {
  const select = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    const at = PANELS.findIndex(([name]) => name === panel.value);
    const [next] = PANELS[(at + by + PANELS.length) % PANELS.length] ?? PANELS[0];
    panel.value = next;
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <aside class="side" aria-label="Details">
      <div class="tabs" role="tablist" aria-label="Details" onKeyDown={select}>
        {PANELS.map(([name, title]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={panel.value === name}
            aria-controls="panel"
            tabIndex={panel.value === name ? 0 : -1}
            onClick={() => (panel.value = name)}
          >
            {title}
          </button>
        ))}
      </div>
      <div class="panel" role="tabpanel" id="panel" aria-labelledby={`tab-${panel.value}`}>
        {panel.value === 'passes' && <Passes />}
        {panel.value === 'settings' && <Controls />}
        {panel.value === 'code' && <Code />}
      </div>
    </aside>
  );
}

function Passes(): JSX.Element {
  const own = view.value === 'race' ? race.value?.tidar : lastRun.value;
  const run = inspected.value?.run ?? own;
  const numShown = run?.numShown.value ?? 0;
  return (
    <>
      <Inspector />
      {run === undefined || numShown === 0 ? (
        <p class="soft">What each forward pass does shows here while an answer comes.</p>
      ) : (
        <>
          <Statistics run={run} numShown={numShown} />
          <History run={run} numShown={numShown} />
        </>
      )}
    </>
  );
}
