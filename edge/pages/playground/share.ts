import { z } from 'zod';
import { DEFAULT_SETTINGS, settingsSchema } from './settings.ts';
import type { Settings } from './settings.ts';

const sharedSchema = z.object({
  settings: settingsSchema,
  /** Of all turns, the last one the open question. */
  questions: z.array(z.string().max(100_000)).max(100),
});
export interface Shared {
  readonly settings: Settings;
  readonly questions: readonly string[];
}

const MARK = '#share=';

/** A link that opens the page with these settings and questions. It stays in the browser: servers do not see it. */
export function linkTo(
  place: { readonly origin: string; readonly pathname: string },
  { settings, questions }: Shared,
): string {
  const changed = Object.entries(settings).filter(
    ([name, value]) => value !== DEFAULT_SETTINGS[name as keyof Settings],
  );
  const bytes = new TextEncoder().encode(
    JSON.stringify({ settings: Object.fromEntries(changed), questions }),
  );
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  const safe = text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  return `${place.origin}${place.pathname}${MARK}${safe}`;
}

/** What a link's fragment says; undefined where it is none, or a broken one. */
export function readLink(hash: string): Shared | undefined {
  if (!hash.startsWith(MARK)) return undefined;
  try {
    const text = atob(hash.slice(MARK.length).replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return sharedSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}
