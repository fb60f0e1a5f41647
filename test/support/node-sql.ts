import { DatabaseSync } from 'node:sqlite';
import type { Sql } from '../../edge/src/sql.ts';

/**
 * Node's SQLite behind the part of a Durable Object's interface that is used: for what a real one cannot be asked to
 * do, such as to live through a month.
 */
export function openNodeSql(): Sql {
  const database = new DatabaseSync(':memory:');
  const exec = (query: string, ...values: (string | number | null)[]): object => {
    if (query.trim().replace(/;$/, '').includes(';')) {
      database.exec(query);
      return { toArray: () => [], one: () => undefined, rowsWritten: 0 };
    }
    const rows = database.prepare(query).all(...values);
    const isQuery = /^\s*SELECT/i.test(query);
    const { written } = isQuery
      ? { written: 0 }
      : (database.prepare('SELECT changes() AS written').get() ?? {});
    return { toArray: () => rows, one: () => rows[0], rowsWritten: Number(written) };
  };
  return { exec } as unknown as Sql;
}
