import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { schemaProblem } from './controls.tsx';
import { CopyButton } from '../common/copy-button.tsx';
import { EXAMPLES } from './examples.ts';
import { requestFor } from './settings.ts';
import { LANGUAGES, snippet } from './snippets.ts';
import type { Language } from './snippets.ts';
import { draft, model, possible, settings, turns } from './state.ts';

const language = signal<Language>('curl');

/** The request to copy: the next one, or the last where nothing is typed. */
export function Code(): JSX.Element {
  if (schemaProblem(settings.value.schema) !== undefined) {
    return <p class="soft">The JSON schema in the settings is not JSON yet.</p>;
  }
  const question = draft.value.trim() || (turns.value.at(-1)?.question ?? EXAMPLES[0]?.prompt ?? '');
  const messages = [{ role: 'user', content: question } as const];
  const request = requestFor(possible(settings.value, model.value), model.value?.id ?? 'demo', messages);
  const text = snippet(language.value, location.origin, request);
  return (
    <section class="code" aria-label="The request as code">
      <div class="row">
        <div class="row" role="group" aria-label="Language">
          {LANGUAGES.map((name) => (
            <button
              key={name}
              type="button"
              class="button small quiet"
              aria-pressed={language.value === name}
              onClick={() => (language.value = name)}
            >
              {name}
            </button>
          ))}
        </div>
        <CopyButton text={text} />
      </div>
      <pre tabIndex={0} role="region" aria-label={`The request in ${language.value}`}>
        <code>{text}</code>
      </pre>
      <p class="hint soft">The key is read from the variable TIDAR_KEY: it stands in no code.</p>
    </section>
  );
}
