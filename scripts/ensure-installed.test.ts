import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** Stands for npm: writes down how it was called and leaves what npm leaves. */
const NPM = `
import { appendFileSync, chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
const args = process.argv.slice(2);
appendFileSync('calls.txt', args.join(' ') + '\\n');
if (existsSync('offline')) process.exit(1);
if (args[0] === 'install' && !existsSync('no-node')) {
  mkdirSync('node_modules/.bin', { recursive: true });
  writeFileSync('node_modules/.bin/node', '#!/bin/sh\\necho v24.0.0\\n');
  chmodSync('node_modules/.bin/node', 0o755);
  const dev = args.includes('--include=dev');
  writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages: { vitest: { dev } } }));
}
`;

describe('ensure-installed', () => {
  let root: string;
  const file = (name: string): string => path.join(root, name);

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'tidar-install-'));
    mkdirSync(file('scripts'));
    mkdirSync(file('part'));
    cpSync(path.join(import.meta.dirname, 'ensure-installed.mjs'), file('scripts/ensure-installed.mjs'));
    writeFileSync(file('npm-cli.mjs'), NPM);
    writeFileSync(file('package.json'), JSON.stringify({ workspaces: ['part'] }));
    for (const name of ['part/package.json', 'package-lock.json', '.npmrc']) writeFileSync(file(name), '{}');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** Runs the hook and returns how it called npm. */
  function ensure(...args: string[]): {
    calls: string[];
    status: number | null;
    stdout: string;
    stderr: string;
  } {
    rmSync(file('calls.txt'), { force: true });
    const env = { ...process.env, npm_execpath: file('npm-cli.mjs') };
    const script = [file('scripts/ensure-installed.mjs'), ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, script, {
      cwd: tmpdir(),
      env,
      encoding: 'utf8',
    });
    const calls = existsSync(file('calls.txt'))
      ? readFileSync(file('calls.txt'), 'utf8').trim().split('\n')
      : [];
    return { calls, status, stdout, stderr };
  }
  const production = [expect.stringMatching(/^install .*--omit=dev/)];
  const development = [expect.stringMatching(/^install .*--include=dev/)];

  it('installs once, without development packages, and never touches the tracked lock', () => {
    const first = ensure();
    expect(first).toMatchObject({ calls: production, status: 0, stdout: '' });
    expect(first.calls[0]).toContain('--no-save');
    expect(ensure()).toMatchObject({ calls: [], status: 0, stdout: '', stderr: '' });
  });

  it('adds development packages when they are needed, and keeps them', () => {
    ensure();
    expect(ensure('--dev').calls).toEqual(development);
    expect(ensure('--dev').calls).toEqual([]);
    expect(ensure().calls).toEqual([]);
  });

  it.each(['package-lock.json', 'package.json', 'part/package.json', '.npmrc'])(
    'installs again after a change of %s',
    (name) => {
      ensure();
      writeFileSync(file(name), '{ "workspaces": ["part"] }\n');
      expect(ensure().calls).toEqual(production);
      expect(ensure().calls).toEqual([]);
    },
  );

  it('does not remove development packages that somebody installed by hand', () => {
    ensure('--dev');
    rmSync(file('node_modules/.tidar-installed'));
    expect(ensure().calls).toEqual(development);
  });

  it('says that packages could not be installed, fails, and tries again the next time', () => {
    writeFileSync(file('offline'), '');
    const failed = ensure();
    expect(failed).toMatchObject({ calls: production, status: 1 });
    expect(failed.stderr).toContain('Packages could not be installed');
    rmSync(file('offline'));
    expect(ensure()).toMatchObject({ calls: production, status: 0 });
  });

  it('asks for the Node program alone where install scripts were switched off, and says when it is missing', () => {
    writeFileSync(file('no-node'), '');
    const failed = ensure();
    expect(failed.calls).toEqual([...production, 'rebuild node --ignore-scripts=false']);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('did not bring a Node 24');
  });
});
