import type { Random } from '../../chaos/random.ts';
import { ADMIN_TOKEN } from '../../support/edge-harness.ts';
import type { Operation } from '../surface.ts';
import type { FuzzWorld } from '../world.ts';

export type Header = readonly [name: string, value: string];
export const JSON_BODY: Header = ['content-type', 'application/json'];
export const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');

export const bearer = (token: string): Header => ['authorization', `Bearer ${token}`];

/** What an operation wants to be shown. */
export function credentials(world: FuzzWorld, { needs }: Pick<Operation, 'needs'>, keyIndex = 0): Header[] {
  if (needs === 'nothing') return [];
  return [bearer(needs === 'admin' ? ADMIN_TOKEN : (world.keys[keyIndex % world.keys.length] ?? ''))];
}

/** A path without its placeholders. */
export const targetOf = (path: string, id: string): string =>
  path.replaceAll(/\{\w+\}/g, encodeURIComponent(id));

/** A small chat completion that the real backend answers. */
export const chatBody = (changes: object = {}): string =>
  JSON.stringify({
    model: 'tiny-chat',
    messages: [{ role: 'user', content: 'hello' }],
    max_tokens: 2,
    ...changes,
  });

export const CHAT = '/v1/chat/completions';

/** Bytes of any kind. */
export const drawBytes = (random: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: random.whole(1, most) }, () => random.whole(0, 255)));

/** The text with one character changed for another of the same kind. */
export function altered(random: Random, text: string): string {
  const at = random.whole(0, text.length - 1);
  const found = text.charAt(at);
  const others = [...'abcdefghjkmnpqrstvwxyzABCDEFGHIJKLM0123456789'].filter(
    (character) => character !== found,
  );
  return `${text.slice(0, at)}${random.pick(others)}${text.slice(at + 1)}`;
}
