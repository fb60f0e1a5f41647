import { createReadStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type AdminApi, AdminError } from './client.ts';

interface Page {
  version: number;
  rows: object[];
  next: string | null;
}
interface KeyList {
  data: { id: string }[];
  has_more: boolean;
}
/** A line of the file: a page of the directory (`key` is null) or of a key's ledger, the head, or the end. */
type Line =
  | { type: 'tidar-backup'; version: 1; created_at: string }
  | { type: 'page'; key: string | null; version: number; rows: object[] }
  | { type: 'end'; num_keys: number };

/** Writes the whole edge to a file, one JSON value a line; a file that is not whole has no such name. */
export async function exportTo(api: AdminApi, path: string): Promise<{ numKeys: number }> {
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', 0o600);
  const write = (line: Line): Promise<void> => file.appendFile(`${JSON.stringify(line)}\n`);
  let numKeys = 0;
  try {
    await write({ type: 'tidar-backup', version: 1, created_at: new Date().toISOString() });
    for await (const { version, rows } of pages(api, '/export')) {
      await write({ type: 'page', key: null, version, rows });
    }
    for await (const id of keyIds(api)) {
      for await (const { version, rows } of pages(api, `/export/keys/${id}`)) {
        await write({ type: 'page', key: id, version, rows });
      }
      numKeys += 1;
    }
    await write({ type: 'end', num_keys: numKeys });
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
  return { numKeys };
}

/** Reads a backup into an edge; a key that is there already is left as it is. */
export async function importFrom(
  api: AdminApi,
  path: string,
): Promise<{ numKeys: number; skipped: string[] }> {
  await checkWhole(path);
  const [seen, skipped] = [new Set<string>(), new Set<string>()];
  for await (const line of linesOf(path)) {
    if (line.type !== 'page' || (line.key !== null && skipped.has(line.key))) continue;
    const { key, version, rows } = line;
    if (key !== null) seen.add(key);
    try {
      await api.post(key === null ? '/import' : `/import/keys/${key}`, { version, rows });
    } catch (error) {
      const isThere = error instanceof AdminError && error.message.includes('This key is there already');
      if (key === null || !isThere) throw error;
      skipped.add(key);
    }
  }
  return { numKeys: seen.size - skipped.size, skipped: [...skipped] };
}

async function* pages(api: AdminApi, path: string): AsyncGenerator<Page> {
  for (let after: string | null = ''; after !== null;) {
    const page = (await api.get(path, after === '' ? {} : { after })) as Page;
    if (page.rows.length > 0) yield page;
    after = page.next;
  }
}

async function* keyIds(api: AdminApi): AsyncGenerator<string> {
  for (let after: string | undefined; ;) {
    const list = (await api.get('/keys', { after, limit: '1000' })) as KeyList;
    for (const { id } of list.data) yield id;
    after = list.data.at(-1)?.id;
    if (!list.has_more) return;
  }
}

async function checkWhole(path: string): Promise<void> {
  let [first, last]: (Line | undefined)[] = [];
  for await (const line of linesOf(path)) {
    first ??= line;
    last = line;
  }
  if (first?.type === 'tidar-backup' && last?.type === 'end') return;
  throw new AdminError(`${path} is not a whole backup: it was cut off, or it is something else.`);
}

async function* linesOf(path: string): AsyncGenerator<Line> {
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    try {
      yield JSON.parse(text) as Line;
    } catch {
      throw new AdminError(`${path} is not a whole backup: a line of it is no JSON.`);
    }
  }
}
