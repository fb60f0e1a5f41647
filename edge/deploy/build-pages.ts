import { resolve } from 'node:path';
import { buildPages } from './pages.ts';

// Builds the pages where wrangler.toml's `assets` looks for them. Usage: node edge/deploy/build-pages.ts [folder]

const [target] = process.argv.slice(2);
await buildPages(target === undefined ? undefined : resolve(target));
