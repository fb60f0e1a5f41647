import type { JSX } from 'preact';
import type { KeyForm } from './key-form.ts';

interface KeyFieldsProps {
  readonly form: KeyForm;
  readonly problems: Readonly<Partial<Record<keyof KeyForm, string>>>;
  readonly isLocked?: boolean;
  readonly onChange: (form: KeyForm) => void;
}

interface FieldText {
  readonly name: keyof KeyForm;
  readonly label: string;
  readonly hint: string;
  readonly type?: 'datetime-local';
}

const FIELDS: readonly FieldText[] = [
  { name: 'name', label: 'Name', hint: 'For people; shown in usage.' },
  { name: 'models', label: 'Models', hint: 'Ids with commas between; empty: all.' },
  { name: 'requests_per_minute', label: 'Requests per minute', hint: 'Always there; 600 if not said.' },
  { name: 'tokens_per_minute', label: 'Tokens per minute', hint: 'Of prompt and answer; empty: no limit.' },
  { name: 'concurrent_streams', label: 'Requests at once', hint: 'Streamed or not; empty: no limit.' },
  { name: 'budget_tokens', label: 'Budget in tokens', hint: 'Of all its requests; empty: none.' },
  { name: 'budget_nanos', label: 'Budget in money', hint: 'In the price list’s currency; empty: none.' },
  {
    name: 'expires_at',
    label: 'Expires',
    hint: 'In this machine’s time; empty: never.',
    type: 'datetime-local',
  },
];

const modeOf = (name: keyof KeyForm): 'text' | 'decimal' =>
  name === 'name' || name === 'models' ? 'text' : 'decimal';

/** The settings of a key as a form has them. */
export function KeyFields({ form, problems, isLocked = false, onChange }: KeyFieldsProps): JSX.Element {
  const set = (name: keyof KeyForm, value: string): void => onChange({ ...form, [name]: value });
  return (
    <div class="key-fields">
      {FIELDS.map(({ name, label, hint, type }) => (
        <div class="field" key={name}>
          <label for={`field-${name}`}>{label}</label>
          <input
            class="input"
            id={`field-${name}`}
            autocomplete="off"
            disabled={isLocked}
            aria-describedby={`hint-${name}`}
            aria-invalid={problems[name] !== undefined}
            value={form[name]}
            onInput={(event) => set(name, event.currentTarget.value)}
            {...(type === undefined ? { type: 'text', inputMode: modeOf(name) } : { type })}
          />
          <span class={problems[name] === undefined ? 'hint' : 'problem'} id={`hint-${name}`}>
            {problems[name] ?? hint}
          </span>
        </div>
      ))}
      <div class="field">
        <label for="field-budget_refill">Budget is whole again</label>
        <select
          class="input"
          id="field-budget_refill"
          disabled={isLocked}
          value={form.budget_refill}
          onChange={(event) => set('budget_refill', event.currentTarget.value)}
        >
          <option value="">never</option>
          <option value="daily">every day, 0:00 UTC</option>
          <option value="monthly">every month, 0:00 UTC</option>
        </select>
      </div>
    </div>
  );
}
