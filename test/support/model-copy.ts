import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export interface ModelCopy {
  readonly path: string;
  remove(): void;
}

/** A copy of a model folder with other fields in its config, in a temporary folder with a space in its path. */
export function copyModel(from: string, changes: Readonly<Record<string, unknown>>): ModelCopy {
  const root = mkdtempSync(join(tmpdir(), 'tidar model '));
  const path = join(root, basename(from));
  mkdirSync(path);
  // Folders in it are what a start keeps there for the next.
  for (const entry of readdirSync(from, { withFileTypes: true }).filter((each) => each.isFile()))
    copyFileSync(join(from, entry.name), join(path, entry.name));
  const configPath = join(path, 'config.json');
  const config = JSON.parse(readFileSync(configPath, 'utf8')) as Record<string, unknown>;
  writeFileSync(configPath, JSON.stringify({ ...config, ...changes }));
  return { path, remove: () => rmSync(root, { recursive: true, force: true }) };
}
