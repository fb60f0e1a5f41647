import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUNDLE = fileURLToPath(
  new URL('../../../../node_modules/node-llama-cpp/llama/gitRelease.bundle', import.meta.url),
);
const CLONE = fileURLToPath(new URL('../../../../.runs/llama.cpp.git', import.meta.url));
const MAX_BYTES = 64 << 20;

/** A file of llama.cpp's sources, which node-llama-cpp carries as a git bundle: vocabularies and chat templates. */
export function llamaCppFile(path: string): Buffer {
  cloneOnce();
  return execFileSync('git', ['-C', CLONE, 'show', `HEAD:${path}`], { maxBuffer: MAX_BYTES });
}

/** Kept from run to run; moved into place whole, since several test files may ask at once. */
function cloneOnce(): void {
  if (existsSync(join(CLONE, 'HEAD'))) return;
  const folder = mkdtempSync(join(tmpdir(), 'tidar-llama-cpp-'));
  try {
    execFileSync('git', ['clone', '--quiet', '--bare', BUNDLE, join(folder, 'clone')], { stdio: 'pipe' });
    mkdirSync(join(CLONE, '..'), { recursive: true });
    execFileSync('cp', ['-r', join(folder, 'clone'), `${CLONE}.${process.pid}`]);
    if (!existsSync(CLONE)) renameSync(`${CLONE}.${process.pid}`, CLONE);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${CLONE}.${process.pid}`, { recursive: true, force: true });
  }
}
