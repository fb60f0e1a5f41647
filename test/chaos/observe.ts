import { setTimeout as sleep } from 'node:timers/promises';
import { type JournalAnswer, journalAnswerSchema } from '@tidar/shared/journal.ts';
import { z } from 'zod';
import type { BackupPage } from '../../edge/src/backup.ts';
import type { DailyUsage, RequestRecord, UsageCounts, UsageReport } from '../../edge/src/ledger/types.ts';
import { sumUsage } from '../../edge/src/ledger/usage.ts';
import { AdminClient } from '../support/admin-client.ts';
import type { BackendSite } from './backend-site.ts';

const POLL_MS = 150;
const provenSchema = z
  .object({ delivered: z.string(), num_choices: z.int().positive() })
  .transform(({ delivered, num_choices: numChoices }) => {
    const counts = z.array(z.int().nonnegative()).parse(JSON.parse(delivered));
    return Array.from({ length: numChoices }, (_, choice) => counts[choice] ?? 0);
  });

export interface KeyState {
  report: UsageReport;
  directoryTotal: UsageCounts;
}

/** What the ledger of a key and the directory say at the moment. */
async function readKey(edgeUrl: string, apiKey: string): Promise<KeyState> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const response = await fetch(`${edgeUrl}/v1/usage?limit=100`, { headers });
  if (!response.ok) throw new Error(`/v1/usage: ${response.status} ${await response.text()}`);
  const report = (await response.json()) as UsageReport;
  const admin = new AdminClient(edgeUrl);
  const { body } = await admin.get<{ data: DailyUsage[] }>(`/usage?key=${report.key.id}`);
  return { report, directoryTotal: sumUsage(body.data) };
}

/** Asks until it is so, or the time is up; returns the last state either way. */
export async function waitForKey(
  edgeUrl: string,
  apiKey: string,
  isSo: (state: KeyState) => boolean,
  limitMs: number,
): Promise<KeyState> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const state = await readKey(edgeUrl, apiKey);
    if (isSo(state) || performance.now() > deadline) return state;
    await sleep(POLL_MS);
  }
}

/** Tokens of each choice that a request's ledger knows to have been delivered, by its backup: usage has their sum alone. */
export async function readProven(edgeUrl: string, keyId: string, requestId: string): Promise<number[]> {
  const admin = new AdminClient(edgeUrl);
  let query = '';
  for (;;) {
    const { status, body } = await admin.get<BackupPage>(`/export/keys/${keyId}${query}`);
    if (status !== 200) throw new Error(`the backup of ${keyId}: ${status} ${JSON.stringify(body)}`);
    const found = body.rows.find(({ table, row }) => table === 'requests' && row['id'] === requestId);
    if (found !== undefined) return provenSchema.parse(found.row);
    if (body.next === null) throw new Error(`the backup of ${keyId} has no ${requestId}`);
    query = `?after=${encodeURIComponent(body.next)}`;
  }
}

/** What an instance's journal knows of the attempts of a request. */
export async function readJournals(
  site: BackendSite,
  { id, num_attempts: numAttempts }: RequestRecord,
): Promise<JournalAnswer[]> {
  const attempts = Array.from({ length: numAttempts }, (_, attempt) => attempt);
  const answers = await Promise.all(attempts.map((attempt) => readJournal(site, id, attempt)));
  return answers.filter((answer) => answer !== undefined);
}

async function readJournal(
  site: BackendSite,
  id: string,
  attempt: number,
): Promise<JournalAnswer | undefined> {
  const { process } = site;
  if (process === undefined) throw new Error(`backend ${site.name} is down`);
  const lasting = { expires_at_ms: Date.now() + site.clockMs + 600_000 };
  const response = await process.read(id, {}, { attempt, ...lasting });
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok) throw new Error(`the journal of ${site.name}: ${await response.text()}`);
  return journalAnswerSchema.parse(await response.json());
}
