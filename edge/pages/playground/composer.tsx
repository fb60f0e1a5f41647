import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { schemaProblem } from './controls.tsx';
import { askQuestion, draft, isBusy, key, settings, turns } from './state.ts';

/** The box for the next question. */
export function Composer(): JSX.Element {
  const box = useRef<HTMLTextAreaElement>(null);
  const problem = schemaProblem(settings.value.schema);
  const isReady = key.value !== '' && draft.value.trim() !== '' && problem === undefined && !isBusy.value;
  const send = (): void => {
    if (!isReady) return;
    askQuestion(settings.value.form === 'text' ? draft.value : draft.value.trim());
    draft.value = '';
    box.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const stop = (): void => turns.value.forEach(({ run }) => run.stop());
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="visually-hidden" for="question">
        Your question
      </label>
      <textarea
        ref={box}
        class="input"
        id="question"
        rows={Math.min(8, Math.max(2, draft.value.split('\n').length))}
        placeholder={settings.value.form === 'text' ? 'A text to go on with' : 'Ask something'}
        value={draft.value}
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      {isBusy.value ? (
        <button type="button" class="button danger" onClick={stop}>
          Stop
        </button>
      ) : (
        <button type="submit" class="button primary" disabled={!isReady}>
          Send
        </button>
      )}
      {problem !== undefined && <p class="problem">The JSON schema in the settings is not JSON yet.</p>}
    </form>
  );
}
