import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const GUARD = fileURLToPath(new URL('./guard.ts', import.meta.url));
const NUM_LAST_LINES = 12;
const GROUP_LIMIT_MS = 2000;
const POLL_MS = 20;

export interface ChildOptions {
  /** As it is called in sentences: "the backend". */
  readonly name: string;
  /** A script for this Node, or for another program, and its arguments. */
  readonly command: readonly string[];
  readonly program?: string;
  /** A lock file that no two children may have at once: the second one ends at its start. */
  readonly lockPath?: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** A process with all that it starts, in a process group of its own (see guard.ts). */
export class Child {
  readonly name: string;
  /** Settles when its first process has ended; then nothing of its group is left. */
  readonly exited: Promise<void>;
  readonly #guard: ChildProcess;
  readonly #lastLines: string[] = [];
  #exitCode: number | null = null;

  constructor({ name, command, program, lockPath, cwd, env, onLine }: ChildOptions) {
    this.name = name;
    const lock = lockPath === undefined ? [] : ['--lock', lockPath];
    this.#guard = spawn(process.execPath, [GUARD, ...lock, program ?? process.execPath, ...command], {
      cwd,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const output = [
      this.#read(this.#guard.stdout, (line) => onLine(line, 'stdout')),
      this.#read(this.#guard.stderr, (line) => onLine(line, 'stderr')),
    ];
    const exited = new Promise<void>((resolve) => {
      this.#guard.once('error', () => resolve());
      this.#guard.once('exit', (code) => {
        this.#exitCode = code;
        void this.#endGroup().then(resolve);
      });
    });
    this.exited = Promise.all([exited, ...output]).then(() => undefined);
  }

  /** Asks the whole group to end, and ends it where it takes longer. */
  async stop(limitMs: number): Promise<void> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.kill(), limitMs);
    await this.exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  /** How it ended, for a person. */
  describeEnd(): string {
    const lines = this.#lastLines.map((line) => `  ${line}\n`).join('');
    const said = lines === '' ? ' It said nothing.' : ` Its last lines:\n${lines.trimEnd()}`;
    return `${this.name} ended unexpectedly (exit code ${this.#exitCode ?? 'unknown'}).${said}`;
  }

  #read(stream: Readable | null, onLine: (line: string) => void): Promise<void> {
    if (stream === null) return Promise.resolve();
    const lines = createInterface({ input: stream });
    lines.on('line', (coloured) => {
      const line = stripVTControlCharacters(coloured);
      if (line.trim() !== '') this.#lastLines.push(line);
      if (this.#lastLines.length > NUM_LAST_LINES) this.#lastLines.shift();
      onLine(line);
    });
    return new Promise((resolve) => lines.once('close', resolve));
  }

  /** What the command left behind ends too: asked first, then not asked. */
  async #endGroup(): Promise<void> {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const deadline = performance.now() + GROUP_LIMIT_MS;
      if (!this.#signal(signal)) return;
      while (performance.now() < deadline) {
        await sleep(POLL_MS);
        if (!this.#signal(0)) return;
      }
    }
  }

  /** Signals the whole group, 0 only asks; false where nobody of it is left. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    if (this.#guard.pid === undefined) return false;
    try {
      return process.kill(-this.#guard.pid, signal);
    } catch (error) {
      // macOS says EPERM where only the group's dead are left.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
      return false;
    }
  }
}
