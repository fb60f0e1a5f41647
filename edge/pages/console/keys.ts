import { signal } from '@preact/signals';
import { timeOfSeconds } from './format.ts';
import type { Tone } from './parts.tsx';
import { type Key, keyListSchema } from './schemas.ts';
import { admin, may } from './session.ts';

const PAGE = 1000;
/** More than that are looked for by the command line. */
const MOST_KEYS = 5000;

/** Every key, as far as a page can show them, the newest first. */
export async function readKeys(abort?: AbortSignal): Promise<Key[]> {
  const keys: Key[] = [];
  for (let after = ''; keys.length < MOST_KEYS;) {
    const query = new URLSearchParams({ limit: String(PAGE), ...(after === '' ? {} : { after }) });
    const options = abort === undefined ? {} : { signal: abort };
    const page = await admin(keyListSchema, `/keys?${query.toString()}`, options);
    keys.push(...page.data);
    after = page.data.at(-1)?.id ?? '';
    if (!page.has_more || after === '') break;
  }
  names.value = new Map(keys.map((key) => [key.id, key.name ?? '']));
  return keys.sort((one, other) => other.created - one.created);
}

/** Names by id, as far as this token may know them. */
const names = signal<ReadonlyMap<string, string>>(new Map());

/** For views that show keys of all kinds: asks once. */
export async function learnNames(): Promise<void> {
  if (names.value.size === 0 && may('keys:read')) await readKeys();
}

/** What a person calls a key: its name, else its id. */
export const nameOf = (keyId: string): string => names.value.get(keyId) || keyId;

export const knownKeys = (): [id: string, name: string][] =>
  [...names.value]
    .map(([id, name]): [string, string] => [id, name || id])
    .sort(([, a], [, b]) => a.localeCompare(b));

export interface KeyState {
  readonly word: string;
  readonly tone: Tone;
}

export function stateOf({ revoked_at: revokedAt, expires_at: expiresAt }: Key): KeyState {
  if (revokedAt !== null) return { word: `revoked ${timeOfSeconds(revokedAt)}`, tone: 'bad' };
  if (expiresAt === null) return { word: 'active', tone: 'good' };
  const when = timeOfSeconds(expiresAt);
  return expiresAt * 1000 <= Date.now()
    ? { word: `expired ${when}`, tone: 'bad' }
    : { word: `active until ${when}`, tone: 'good' };
}
