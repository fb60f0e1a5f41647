import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import { z } from 'zod';

const secretsSchema = z.strictObject({
  leaseSecret: z.string().min(32),
  keySecret: z.string().min(32),
  adminToken: z.string().min(32),
});
export type Secrets = z.infer<typeof secretsSchema>;

/** What one start leaves for the next, in a folder that only its owner can read. */
export class StartState {
  readonly path: string;
  readonly #lockPath: string;

  private constructor(path: string) {
    this.path = path;
    this.#lockPath = join(path, 'lock');
  }

  /** Opens the folder for this process alone; a second system over the same ledgers is refused. */
  static open(path: string): StartState {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const state = new StartState(path);
    const holder = state.#lockHolder();
    if (holder !== undefined) {
      throw new TidarError(
        'internal',
        `Process ${holder} runs the system over ${path} already; end it first, or give another --state folder.`,
      );
    }
    state.#write('lock', `${process.pid}\n`);
    return state;
  }

  close(): void {
    rmSync(this.#lockPath, { force: true });
  }

  /** Made once, so that keys stay valid from one start to the next. */
  secrets(): Secrets {
    const path = join(this.path, 'secrets.json');
    if (existsSync(path)) return parseJson(secretsSchema, readFileSync(path, 'utf8'));
    const secrets = { leaseSecret: newSecret(), keySecret: newSecret(), adminToken: newSecret() };
    this.#write('secrets.json', JSON.stringify(secrets));
    return secrets;
  }

  /** Writes the edge's variables to a file: arguments show in the list of processes. Returns its path. */
  writeEnvFile(values: Readonly<Record<string, string>>): string {
    const lines = Object.entries(values).map(([name, value]) => `${name}='${value}'\n`);
    return this.#write('edge.env', lines.join(''));
  }

  get demoKey(): string | undefined {
    return readLine(join(this.path, 'demo-key'));
  }

  storeDemoKey(key: string): void {
    this.#write('demo-key', `${key}\n`);
  }

  /** Where the edge is now, for commands that come after. */
  storeAddress(edgeUrl: string): void {
    this.#write('address', `${edgeUrl}\n`);
  }

  #write(fileName: string, content: string): string {
    const path = join(this.path, fileName);
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, content, { mode: 0o600 });
    renameSync(temporary, path);
    return path;
  }

  /** The living process that holds the lock; a lock that a killed one left is none. */
  #lockHolder(): number | undefined {
    if (!existsSync(this.#lockPath)) return undefined;
    const processId = Number(readFileSync(this.#lockPath, 'utf8'));
    return Number.isSafeInteger(processId) && processId !== process.pid && isAlive(processId)
      ? processId
      : undefined;
  }
}

/** What the last start left in its folder for other commands: where its edge was, and the key for it. */
export function readStarted(path: string): { address: string | undefined; demoKey: string | undefined } {
  return { address: readLine(join(path, 'address')), demoKey: readLine(join(path, 'demo-key')) };
}

function readLine(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

const newSecret = (): string => randomBytes(32).toString('base64url');
