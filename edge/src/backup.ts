import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import type { Sql, SqlValue } from './sql.ts';

const PAGE_ROWS = 100;
const PAGE_CHARACTERS = 1_000_000;

/** One row of a table, as a backup has it: values of SQLite are text, numbers or null here. */
export const backupRowSchema = z.strictObject({
  table: z.string().max(64),
  row: z.record(z.string().regex(/^[a-z_]{1,64}$/), z.union([z.string(), z.number(), z.null()])),
});
export type BackupRow = z.infer<typeof backupRowSchema>;

export interface BackupPage {
  /** Of the tables: only the same version can read them back. */
  version: number;
  rows: BackupRow[];
  /** Where to go on; null at the end. */
  next: string | null;
}

/** The rows after a place, table after table. */
export function dumpPage(sql: Sql, version: number, tables: readonly string[], after: string): BackupPage {
  const [tableIndex, rowId] = placeOf(after);
  const table = tables[tableIndex];
  if (table === undefined) return { version, rows: [], next: null };
  const query = `SELECT rowid AS backup_place, * FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ?`;
  const found = sql
    .exec<Record<string, SqlValue> & { backup_place: number }>(query, rowId, PAGE_ROWS)
    .toArray();
  const rows: BackupRow[] = [];
  let [next, numCharacters] = [`${tableIndex + 1}:0`, 0];
  for (const { backup_place: place, ...row } of found) {
    rows.push(backupRowSchema.parse({ table, row }));
    numCharacters += JSON.stringify(row).length;
    const isLast = rows.length === PAGE_ROWS || numCharacters > PAGE_CHARACTERS;
    if (isLast) next = `${tableIndex}:${place}`;
    if (isLast) break;
  }
  return { version, rows, next };
}

/** Writes rows back; one that is there already and is another is refused. */
export function loadRows(sql: Sql, tables: readonly string[], rows: readonly BackupRow[]): void {
  for (const { table, row } of rows) {
    if (!tables.includes(table)) {
      throw new TidarError('invalid_request', `A backup has no table '${table}'.`, { param: 'rows' });
    }
    const names = Object.keys(row);
    const places = names.map(() => '?').join(', ');
    const values = Object.values(row);
    const same = names.map((name) => `${name} IS ?`).join(' AND ');
    if (sql.exec(`SELECT 1 FROM ${table} WHERE ${same}`, ...values).toArray().length > 0) continue;
    sql.exec(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${places})`, ...values);
  }
}

export function checkVersion(version: number, expected: number): void {
  if (version === expected) return;
  const message = `The backup is of table version ${version}, this edge has ${expected}: restore it with its own release.`;
  throw new TidarError('conflict', message);
}

function placeOf(after: string): [tableIndex: number, rowId: number] {
  const [tableIndex = 0, rowId = 0] = after === '' ? [] : after.split(':').map(Number);
  return [tableIndex, rowId];
}
