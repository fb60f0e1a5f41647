import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const workerSchema = z.strictObject({
  name: z.string(),
  compatibilityDate: z.string(),
  compatibilityFlags: z.array(z.string()),
  vars: z.record(z.string(), z.string()),
  durableObjects: z.array(z.strictObject({ binding: z.string(), className: z.string() })),
  /** What the Worker asks for files of its pages. */
  pagesBinding: z.string(),
  /** Bindings that Cloudflare alone has. */
  missing: z.array(z.string()),
});

/** What wrangler.toml says of the Worker, as far as workerd needs it. */
export type WorkerDescription = z.infer<typeof workerSchema>;

/** Of a folder that `edge/deploy/bundle.ts` wrote. */
export const WORKER_MODULE = 'index.js';
export const PAGES_FOLDER = 'pages';
const DESCRIPTION = 'worker.json';

export function writeDescription(folder: string, description: WorkerDescription): void {
  writeFileSync(join(folder, DESCRIPTION), `${JSON.stringify(description, null, 2)}\n`);
}

export function readDescription(folder: string): WorkerDescription {
  return workerSchema.parse(JSON.parse(readFileSync(join(folder, DESCRIPTION), 'utf8')));
}
