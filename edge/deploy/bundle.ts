import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { unstable_readConfig as readConfig } from 'wrangler';
import { z } from 'zod';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { WRANGLER_ENVIRONMENT, wranglerScript } from '../../gpu-backend/src/cli/start/wrangler.ts';
import { buildPages } from './pages.ts';
import { PAGES_FOLDER, WORKER_MODULE, writeDescription } from './worker-files.ts';
import type { WorkerDescription } from './worker-files.ts';

// Writes what `wrangler deploy` would upload to a folder, for workerd to serve: the Worker as one module, its pages, and
// what wrangler.toml says of it. Usage: node edge/deploy/bundle.ts <folder>

const CONFIG = join(REPOSITORY, 'wrangler.toml');

/** Throws where the Worker cannot be built, with what wrangler said. */
function buildModule(folder: string): void {
  const args = ['deploy', '--dry-run', `--config=${CONFIG}`, `--outdir=${folder}`];
  const env = { ...process.env, ...WRANGLER_ENVIRONMENT };
  const result = spawnSync(process.execPath, [wranglerScript(), ...args], {
    cwd: REPOSITORY,
    env,
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`wrangler could not build the Worker:\n${result.stderr}`);
  const modules = readdirSync(folder).filter((name) => !/\.map$|^README\.md$/.test(name));
  if (modules.join() !== WORKER_MODULE) throw new Error(`expected one module, not ${modules.join(', ')}`);
}

const named = z.array(z.object({ name: z.string() }));
const bindingSchema = z.object({ binding: z.string() });
const bound = z.array(bindingSchema);
/** As wrangler reads it: what is absent is empty. */
const configSchema = z.object({
  name: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  vars: z.record(z.string(), z.string()),
  assets: bindingSchema,
  durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }),
  migrations: z.array(z.object({ new_sqlite_classes: z.array(z.string()).default([]) })),
  ratelimits: named,
  analytics_engine_datasets: bound,
  vpc_services: bound,
});

function describeWorker(): WorkerDescription {
  const config = configSchema.parse(readConfig({ config: CONFIG }));
  const stored = new Set(config.migrations.flatMap(({ new_sqlite_classes: classes }) => classes));
  const durableObjects = config.durable_objects.bindings.map(({ name, class_name: className }) => {
    if (!stored.has(className)) throw new Error(`no migration makes the tables of ${className}`);
    return { binding: name, className };
  });
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    vars: config.vars,
    durableObjects,
    pagesBinding: config.assets.binding,
    missing: [
      ...config.ratelimits.map(({ name }) => name),
      ...[...config.analytics_engine_datasets, ...config.vpc_services].map(({ binding }) => binding),
    ],
  };
}

const [target] = process.argv.slice(2);
if (target === undefined) throw new Error('usage: node edge/deploy/bundle.ts <folder>');
const folder = resolve(target);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
buildModule(folder);
await buildPages(join(folder, PAGES_FOLDER));
writeDescription(folder, describeWorker());
