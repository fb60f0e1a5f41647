import { spawn } from 'node:child_process';
import { takeLock } from './lock.ts';

// Runs one command in a process group of its own, and ends the whole group when the process that started the guard
// is gone, however it went: that one holds the other end of standard input. With --lock it has the lock as long as it
// lives, which is as long as the command. Usage: guard.ts [--lock <file>] <command> [arguments].

const END_LIMIT_MS = 10_000;
/** Of a guard that was refused its lock. */
const LOCKED_EXIT_CODE = 75;
const words = process.argv.slice(2);
const lockPath = words[0] === '--lock' ? words[1] : undefined;
const [command = '', ...args] = lockPath === undefined ? words : words.slice(2);
if (lockPath !== undefined && takeLock(lockPath) === undefined) {
  process.stderr.write(`Another process has ${lockPath}.\n`);
  process.exit(LOCKED_EXIT_CODE);
}
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });

// A signal to the group reaches the command too; the guard stays to report how it ended.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(127);
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));

process.stdin.resume();
process.stdin.on('end', () => {
  process.kill(-process.pid, 'SIGTERM');
  setTimeout(() => process.kill(-process.pid, 'SIGKILL'), END_LIMIT_MS);
});
