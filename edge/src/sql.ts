export type SqlValue = ArrayBuffer | string | number | null;

/** The part of a Durable Object's SQLite that is used here, so that its tables can also be tested in Node's. */
export interface Sql {
  exec<Row extends Record<string, SqlValue>>(
    query: string,
    ...values: (string | number | null)[]
  ): { toArray(): Row[]; one(): Row; readonly rowsWritten: number };
}
