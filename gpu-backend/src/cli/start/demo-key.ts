import { TidarError } from '@tidar/shared/errors.ts';
import { fetch } from 'undici';
import { z } from 'zod';
import type { StartState } from './state.ts';

const newKeySchema = z.object({ key: z.string().min(1) });

/** The key of the last start where the edge still takes it, else a new one. */
export async function demoKey(edgeUrl: string, adminToken: string, state: StartState): Promise<string> {
  const stored = state.demoKey;
  if (stored !== undefined && (await isValid(edgeUrl, stored))) return stored;
  const response = await fetch(`${edgeUrl}/admin/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'demo' }),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new TidarError('internal', `The edge made no demo key (status ${response.status}).`, {
      internal: text,
    });
  }
  const { key } = newKeySchema.parse(JSON.parse(text));
  state.storeDemoKey(key);
  return key;
}

async function isValid(edgeUrl: string, key: string): Promise<boolean> {
  const response = await fetch(`${edgeUrl}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.ok;
}
