import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { ApiError } from '../common/http.ts';
import { takeKey } from './state.ts';
import { explain } from './words.ts';

const entered = signal('');
const isKept = signal(false);
const isChecking = signal(false);
const problem = signal<string | undefined>(undefined);

/** Asks for the key that all else needs. */
export function KeyCard(): JSX.Element {
  const submit = async (): Promise<void> => {
    isChecking.value = true;
    problem.value = undefined;
    try {
      await takeKey(entered.value, isKept.value);
      entered.value = '';
    } catch (error) {
      const { title, advice } = explain(error instanceof ApiError ? error : new ApiError(String(error)));
      problem.value = `${title} ${advice}`;
    } finally {
      isChecking.value = false;
    }
  };
  return (
    <form
      class="card key-card"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2>Your key</h2>
      <p class="soft">
        <code>npm start</code> prints one; of a server that others run, they make you one in the console.
      </p>
      <div class="field">
        <label for="key">API key</label>
        <input
          class="input mono"
          id="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby="key-hint"
          aria-invalid={problem.value !== undefined}
          value={entered.value}
          onInput={(event) => (entered.value = event.currentTarget.value)}
        />
        <span class="hint" id="key-hint">
          It stays in this browser, goes to this server alone, and is in no link that you share.
        </span>
      </div>
      <label class="row">
        <input
          type="checkbox"
          checked={isKept.value}
          onChange={(event) => (isKept.value = event.currentTarget.checked)}
        />
        Keep it after this tab is closed
      </label>
      {problem.value !== undefined && (
        <p class="note bad" role="alert">
          {problem.value}
        </p>
      )}
      <div class="row">
        <button
          type="submit"
          class="button primary"
          disabled={isChecking.value || entered.value.trim() === ''}
        >
          {isChecking.value ? 'Checking …' : 'Use this key'}
        </button>
      </div>
    </form>
  );
}
