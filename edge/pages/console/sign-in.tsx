import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { Problem } from './parts.tsx';
import { farewell, signIn, wordsOf } from './session.ts';

/** Asks for the admin token that all else needs. */
export function SignIn(): JSX.Element {
  const entered = useSignal('');
  const isChecking = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  const submit = async (): Promise<void> => {
    isChecking.value = true;
    problem.value = undefined;
    try {
      await signIn(entered.value);
    } catch (error) {
      problem.value = wordsOf(error);
    } finally {
      isChecking.value = false;
    }
  };
  const told = problem.value ?? farewell.value;
  return (
    <form
      class="card sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h1>Console</h1>
      <p class="soft">Keys, usage, running requests and backends of this server.</p>
      <div class="field">
        <label for="token">Admin token</label>
        <input
          class="input mono"
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby="token-hint"
          aria-invalid={told !== undefined}
          value={entered.value}
          onInput={(event) => (entered.value = event.currentTarget.value)}
        />
        <span class="hint" id="token-hint">
          The edge’s <code>ADMIN_TOKEN</code>, or one that <code>npm run admin -- tokens create</code> made.{' '}
          <code>npm start</code> keeps its own in <code>.runs/start/secrets.json</code>. It stays in this tab.
        </span>
      </div>
      {told !== undefined && <Problem>{told}</Problem>}
      <div class="row">
        <button
          type="submit"
          class="button primary"
          disabled={isChecking.value || entered.value.trim() === ''}
        >
          {isChecking.value ? 'Checking …' : 'Sign in'}
        </button>
      </div>
    </form>
  );
}
