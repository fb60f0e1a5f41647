import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { unstable_readConfig as readConfig } from 'wrangler';
import { z } from 'zod';
import { ENV_NAMES, parseEdgeConfig } from '../../edge/src/config.ts';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { WRANGLER_ENVIRONMENT, wranglerScript } from '../../gpu-backend/src/cli/start/wrangler.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidar-wrangler-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const read = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

const config = z
  .object({
    vars: z.record(z.string(), z.string()),
    durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }),
    migrations: z.array(
      z.object({ tag: z.string(), new_sqlite_classes: z.array(z.string()).default([]) }).passthrough(),
    ),
  })
  .parse(readConfig({ config: join(REPOSITORY, 'wrangler.toml') }));
const classes = config.durable_objects.bindings.map(({ class_name: name }) => name);

describe('wrangler deploy', { timeout: 240_000 }, () => {
  it('--dry-run builds the Worker with all of its bindings, and without a word of warning', () => {
    const args = [wranglerScript(), 'deploy', '--dry-run', `--outdir=${folder}`];
    const env = { ...process.env, ...WRANGLER_ENVIRONMENT };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: REPOSITORY,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    for (const { name, class_name: className } of config.durable_objects.bindings) {
      expect(stdout).toContain(`env.${name} (${className})`);
    }
    for (const name of Object.keys(config.vars)) expect(stdout).toContain(`env.${name} `);
  });

  it('uploads a module that exports every class that has a binding', () => {
    const code = readFileSync(join(folder, 'index.js'), 'utf8');
    const [, exported = ''] = /\bexport \{([^}]*)\};?\s*(?:\/\/#.*\s*)?$/.exec(code) ?? [];
    const names = exported.split(',').map((item) => item.trim().split(' as ').at(-1));
    expect(names).toEqual(expect.arrayContaining([...classes, 'default']));
  });

  it('stays under the size that a free plan takes', () => {
    const gzip = execFileSync('gzip', ['-c', join(folder, 'index.js')], { maxBuffer: 1 << 26 });
    expect(gzip.length).toBeLessThan(3 << 20);
  });
});

describe('wrangler.toml', () => {
  it('makes the tables of each class in exactly one migration', () => {
    const made = config.migrations.flatMap(({ new_sqlite_classes: names }) => names);
    expect([...made].sort()).toEqual([...classes].sort());
    expect(new Set(config.migrations.map(({ tag }) => tag)).size).toBe(config.migrations.length);
  });

  it('sets only variables that the edge knows, to values that it takes, and no secret', () => {
    for (const name of Object.keys(config.vars)) {
      expect(ENV_NAMES).toContain(name);
      expect(name).not.toMatch(/SECRET|TOKEN$/);
    }
    expect(() => parseEdgeConfig({ ...config.vars, ...TEST_SECRETS })).not.toThrow();
  });

  it('leaves out no secret that the documentation tells to put, and the documentation none that is needed', () => {
    const told = [...read('docs/deploying.md').matchAll(/wrangler secret put (\w+)/g)].map(
      ([, name]) => name,
    );
    expect(ENV_NAMES).toEqual(expect.arrayContaining(told));
    for (const name of Object.keys(TEST_SECRETS)) {
      expect(told).toContain(name);
      expect(() => parseEdgeConfig({ ...config.vars, ...TEST_SECRETS, [name]: undefined })).toThrow(name);
    }
  });
});
