import type { JSX } from 'preact';
import { CopyButton } from '../common/copy-button.tsx';
import { Topbar } from '../common/topbar.tsx';
import { Chat } from './chat.tsx';
import { Composer } from './composer.tsx';
import { ErrorNote } from './error-note.tsx';
import { How } from './how.tsx';
import { Inspector } from './inspector.tsx';
import { KeyCard } from './key-card.tsx';
import { RaceView } from './race.tsx';
import { linkTo } from './share.ts';
import { Side } from './side.tsx';
import {
  announced,
  draft,
  dropKey,
  inspected,
  key,
  loadModels,
  model,
  modelsError,
  settings,
  turns,
  view,
  VIEWS,
} from './state.ts';
import type { View } from './state.ts';

const VIEW_NAMES: Readonly<Record<View, string>> = { chat: 'Chat', race: 'Race', how: 'How it works' };

export function App(): JSX.Element {
  return (
    <>
      <Topbar page="playground">
        <ModelName />
        <ShareButton />
        {key.value !== '' && (
          <button type="button" class="button quiet small" onClick={dropKey}>
            Forget key
          </button>
        )}
      </Topbar>
      <main id="main" class="playground">
        <h1 class="visually-hidden">TiDAR playground</h1>
        <div class="stage">
          <nav class="views" aria-label="Views">
            {VIEWS.map((name) => (
              <button
                key={name}
                type="button"
                aria-current={view.value === name ? 'true' : undefined}
                onClick={() => (view.value = name)}
              >
                {VIEW_NAMES[name]}
              </button>
            ))}
          </nav>
          <div class="content">
            {modelsError.value !== undefined && (
              <ErrorNote error={modelsError.value} onRetry={() => void loadModels()} />
            )}
            {key.value === '' && view.value !== 'chat' && <KeyCard />}
            {view.value === 'chat' && <Chat />}
            {view.value === 'race' && <RaceView />}
            {view.value === 'how' && <How />}
          </div>
          <div class="dock">
            {inspected.value !== undefined && <Inspector />}
            {view.value === 'chat' && <Composer />}
          </div>
        </div>
        <Side />
        <p class="visually-hidden" id="token-help">
          The arrow keys go from token to token, up and down from pass to pass.
        </p>
      </main>
      <p class="visually-hidden" role="status">
        {announced.value}
      </p>
    </>
  );
}

function ModelName(): JSX.Element | null {
  const served = model.value;
  if (served === undefined) return null;
  return (
    <span class="model soft">
      <span class="dot" aria-hidden="true" /> {served.id}
    </span>
  );
}

function ShareButton(): JSX.Element {
  const questions = [...turns.value.map(({ question }) => question), draft.value];
  return <CopyButton text={linkTo(location, { settings: settings.value, questions })} label="Share" />;
}
