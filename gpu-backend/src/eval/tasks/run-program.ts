import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';

const TIME_LIMIT_MS = 10_000;

type Language = 'python' | 'javascript';

/**
 * Runs a program that a model wrote, and tells whether it ended well in time. It has the user's own rights, but for no
 * environment, no input and a folder of its own (JavaScript also may read nothing but itself): not a sandbox.
 */
export async function runProgram(
  language: Language,
  program: string,
  timeLimitMs = TIME_LIMIT_MS,
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-eval-'));
  const path = join(folder, language === 'python' ? 'program.py' : 'program.mjs');
  writeFileSync(path, program);
  try {
    return await endsWell(commandOf(language, path), folder, timeLimitMs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function commandOf(language: Language, path: string): [string, string[]] {
  if (language === 'python') return ['python3', ['-I', path]];
  return [process.execPath, ['--permission', `--allow-fs-read=${path}`, path]];
}

function endsWell([command, args]: [string, string[]], cwd: string, timeLimitMs: number): Promise<boolean> {
  // A group of its own, so that what the program starts is ended with it.
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'] },
    stdio: 'ignore',
    detached: true,
  });
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(end, timeLimitMs);
    child.on('error', () => {
      clearTimeout(timer);
      reject(new TidarError('invalid_request', `--run-code: ${command} cannot be started here.`));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      end();
      resolve(code === 0);
    });
  });
}
