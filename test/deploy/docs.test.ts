import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SERVE_HELP } from '../../scripts/serve/options.ts';
import { settingsHelp } from '../../gpu-backend/src/server/config.ts';
import { repositoryRoot } from '../support/repository-files.ts';

const text = readFileSync(join(repositoryRoot, 'docs/deploying.md'), 'utf8');
const flagsOf = (help: string): string[] =>
  [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag = '']) => flag);

describe('docs/deploying.md', () => {
  it('names files that are there', () => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = '']) => path);
    expect(links.length).toBeGreaterThan(8);
    for (const path of links) expect(existsSync(join(repositoryRoot, 'docs', path)), path).toBe(true);
    for (const [path] of text.matchAll(/(?<=`)(?:test|edge|gpu-backend|shared)\/[\w./-]+/g)) {
      expect(existsSync(join(repositoryRoot, path)), path).toBe(true);
    }
  });

  it('has sections for its own links', () => {
    const sections = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title.toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, anchor] of text.matchAll(/\]\(#([\w-]+)\)/g)) expect(sections).toContain(anchor);
  });

  it('tells every flag of npm run serve, and no flag of ours that is none', () => {
    const ofServe = flagsOf(SERVE_HELP).filter((flag) => flag !== '--help');
    for (const flag of ofServe) expect(text).toContain(`| \`${flag}\``);
    // Of other people's tools.
    const others = [
      '--help',
      '--dry-run',
      '--var',
      '--build',
      '--from-literal',
      '--name',
      '--requests-per-minute',
    ];
    const known = [...ofServe, ...flagsOf(settingsHelp()), ...others];
    for (const [flag] of text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) expect(known).toContain(flag);
  });
});
