import { type SettingsChange, settingsChangeSchema } from '../../src/ledger/settings.ts';
import type { Key } from './schemas.ts';

const NANOS = 1_000_000_000;

/** What a person typed; empty: no limit. */
export interface KeyForm {
  readonly name: string;
  /** With commas between. */
  readonly models: string;
  readonly requests_per_minute: string;
  readonly tokens_per_minute: string;
  readonly concurrent_streams: string;
  readonly budget_tokens: string;
  /** In whole units of the price list's currency. */
  readonly budget_nanos: string;
  readonly budget_refill: string;
  /** As an input of type `datetime-local` has it. */
  readonly expires_at: string;
}

export const NEW_KEY: KeyForm = {
  name: '',
  models: '',
  requests_per_minute: '600',
  tokens_per_minute: '',
  concurrent_streams: '',
  budget_tokens: '',
  budget_nanos: '',
  budget_refill: '',
  expires_at: '',
};

export function formOf(key: Key): KeyForm {
  const text = (value: number | null): string => (value === null ? '' : String(value));
  return {
    name: key.name ?? '',
    models: key.models?.join(', ') ?? '',
    requests_per_minute: text(key.requests_per_minute),
    tokens_per_minute: text(key.tokens_per_minute),
    concurrent_streams: text(key.concurrent_streams),
    budget_tokens: text(key.budget_tokens),
    budget_nanos: key.budget_nanos === null ? '' : String(key.budget_nanos / NANOS),
    budget_refill: key.budget_refill ?? '',
    expires_at: key.expires_at === null ? '' : localTime(key.expires_at),
  };
}

export type ReadForm =
  | { readonly settings: SettingsChange }
  | { readonly problems: Readonly<Partial<Record<keyof KeyForm, string>>> };

/** The settings of a form, by the schema that the server checks them with; or what is wrong with which field. */
export function readForm(form: KeyForm): ReadForm {
  const number = (text: string): number | null => (text.trim() === '' ? null : Number(text));
  const models = form.models
    .split(',')
    .map((model) => model.trim())
    .filter((model) => model !== '');
  const money = number(form.budget_nanos);
  const parsed = settingsChangeSchema.safeParse({
    name: form.name.trim() === '' ? null : form.name.trim(),
    models: models.length === 0 ? null : models,
    requests_per_minute: number(form.requests_per_minute),
    tokens_per_minute: number(form.tokens_per_minute),
    concurrent_streams: number(form.concurrent_streams),
    budget_tokens: number(form.budget_tokens),
    budget_nanos: money === null ? null : Math.round(money * NANOS),
    budget_refill: form.budget_refill === '' ? null : form.budget_refill,
    expires_at: form.expires_at === '' ? null : Math.floor(Date.parse(form.expires_at) / 1000),
  });
  if (parsed.success) return { settings: parsed.data };
  const problems = parsed.error.issues.map(({ path, message }) => [String(path[0]), message] as const);
  return { problems: Object.fromEntries(problems) };
}

/** What differs; nothing else is sent, so that two people's changes of one key meet. */
export function changesOf(before: KeyForm, after: KeyForm, settings: SettingsChange): SettingsChange {
  const changed = (Object.keys(before) as (keyof KeyForm)[]).filter((name) => before[name] !== after[name]);
  return Object.fromEntries(changed.map((name) => [name, settings[name]]));
}

function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
