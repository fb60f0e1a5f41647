import { DatabaseSync } from 'node:sqlite';

/** A database that nobody holds would be collected, and its lock with it. */
const held = new Set<DatabaseSync>();

/**
 * A lock of this process over a file, by SQLite's own: the kernel takes it away from a process that is dead, however it
 * died, and numbers of processes, which containers use again, have no part in it. Undefined: another one has it.
 */
export function takeLock(path: string): { release(): void } | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (/locked/.test(String(error))) return undefined;
    throw error;
  }
  held.add(database);
  const release = (): void => {
    held.delete(database);
    database.close();
  };
  return { release };
}
