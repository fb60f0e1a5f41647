import type { Sql } from './sql.ts';

/**
 * Brings a Durable Object's tables to the last version, one entry of `migrations` a version. Its caller wraps it in
 * a transaction, so that a broken start leaves the version before.
 */
export function migrate(sql: Sql, migrations: readonly string[]): void {
  sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)');
  const [row] = sql.exec<{ version: number }>('SELECT version FROM schema_version').toArray();
  const version = row?.version ?? 0;
  if (version > migrations.length) {
    throw new Error(
      `the tables have version ${version}, this release knows ${migrations.length}: deploy a newer`,
    );
  }
  if (version === migrations.length) return;
  for (const statements of migrations.slice(version)) sql.exec(statements);
  sql.exec('DELETE FROM schema_version');
  sql.exec('INSERT INTO schema_version VALUES (?)', migrations.length);
}
