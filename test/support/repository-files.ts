import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { SourceFile } from './structure.ts';

export const repositoryRoot = path.join(import.meta.dirname, '..', '..');

const SKIPPED_FOLDERS = new Set([
  'node_modules',
  '.git',
  '.runs',
  '.wrangler',
  'coverage',
  'fixtures',
  '.built',
]);
const TEXT_FILE = /\.(ts|tsx|mjs|js|json|md|toml|html|css|yml|yaml|svg)$|^\.(ci\/run|gitignore|npmrc|\w+rc)$/;

/** Every text file of the repository, golden numbers and what git ignores left out. */
export function readRepository(folder = ''): SourceFile[] {
  return readdirSync(path.join(repositoryRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : readRepository(name);
    if (!entry.isFile() || !TEXT_FILE.test(name)) return [];
    return [{ path: name, text: readFileSync(path.join(repositoryRoot, name), 'utf8') }];
  });
}
