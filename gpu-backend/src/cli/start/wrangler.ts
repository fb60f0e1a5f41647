import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { REPOSITORY } from './repository.ts';

/** Wrangler is to ask the network nothing, and to write nothing outside the repository. */
export const WRANGLER_ENVIRONMENT = {
  CI: '1',
  NO_COLOR: '1',
  FORCE_COLOR: '0',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_WRITE_LOGS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
};

const packageSchema = z.object({ bin: z.object({ wrangler: z.string() }) });

/** The package.json of the edge's own wrangler. */
export function wranglerPackage(): string {
  return createRequire(join(REPOSITORY, 'edge/package.json')).resolve('wrangler/package.json');
}

/** A script for Node. */
export function wranglerScript(): string {
  const packagePath = wranglerPackage();
  const { bin } = packageSchema.parse(JSON.parse(readFileSync(packagePath, 'utf8')));
  return join(dirname(packagePath), bin.wrangler);
}
