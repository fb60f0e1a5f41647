import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/', import.meta.url));

/** The path of one of the golden model folders. */
export function fixturePath(name: string): string {
  return join(FIXTURES, name);
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of a golden model folder, for a test to spoil. */
export function copyOfFixture(name: string): string {
  const folder = temporaryFolder();
  for (const file of ['config.json', 'model.safetensors']) {
    cpSync(join(fixturePath(name), file), join(folder, file));
  }
  return folder;
}

/** Rewrites a JSON file of a folder with these fields changed; undefined removes one. */
export function changeJson(path: string, changes: Record<string, unknown>): void {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...json, ...changes }));
}
