import { computed, signal } from '@preact/signals';
import type { z } from 'zod';
import { ApiError, type Ask, askFor } from '../common/http.ts';
import { meSchema } from './schemas.ts';

const NAME = 'tidar.admin-token';

export interface Session {
  readonly token: string;
  /** `admin`, or the id of a token. */
  readonly name: string;
  readonly scopes: readonly string[];
}

export const session = signal<Session | undefined>(undefined);
/** Why somebody who was signed in is not any more. */
export const farewell = signal<string | undefined>(undefined);

/** Whether the token may do what this scope is for. */
export const may = (scope: string): boolean => {
  const scopes = session.value?.scopes ?? [];
  return scopes.includes(scope) || scopes.includes('admin');
};
export const mayWriteKeys = computed(() => may('keys:write'));

/** Takes a token if the server does; it stays in this tab alone. */
export async function signIn(given: string): Promise<void> {
  const token = given.trim();
  const { name, scopes } = await askFor(meSchema, '/admin/me', { token });
  farewell.value = undefined;
  session.value = { token, name, scopes };
  stored((storage) => storage.setItem(NAME, token));
}

export function signOut(reason?: string): void {
  stored((storage) => storage.removeItem(NAME));
  farewell.value = reason;
  session.value = undefined;
}

/** Signs in with what this tab has of before. */
export async function resume(): Promise<void> {
  const token = stored((storage) => storage.getItem(NAME));
  if (token == null) return;
  try {
    await signIn(token);
  } catch (error) {
    signOut(wordsOf(error));
  }
}

/** Asks the admin API; a token that has ended signs out. */
export async function admin<Schema extends z.ZodType>(
  schema: Schema,
  path: string,
  options: Omit<Ask, 'token'> = {},
): Promise<z.output<Schema>> {
  const token = session.value?.token ?? '';
  try {
    return await askFor(schema, `/admin${path}`, { ...options, token });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401 && session.value?.token === token) {
      signOut('This admin token is not valid any more: it was revoked or has expired.');
    }
    throw error;
  }
}

export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

/** A browser that stores nothing asks again at each visit. */
function stored<T>(work: (storage: Storage) => T): T | undefined {
  try {
    return work(sessionStorage);
  } catch {
    return undefined;
  }
}
