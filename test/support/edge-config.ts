import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const CONFIG = new URL('../../wrangler.toml', import.meta.url);

/**
 * Writes wrangler.toml into a folder with what stands commented out in it from this line on, to its paragraph's end. The
 * files that it names stay where they are.
 */
export function writeEdgeConfig(folder: string, uncomment: string, change = (text: string) => text): URL {
  const text = readFileSync(CONFIG, 'utf8');
  const start = text.indexOf(`# ${uncomment}`);
  if (start < 0) throw new Error(`wrangler.toml has no ${uncomment} commented out`);
  const [paragraph = ''] = text.slice(start).split(/\n(?!#)/);
  const uncommented = text.replace(paragraph, paragraph.replaceAll(/^# /gm, ''));
  const absolute = uncommented.replaceAll(
    /^(main|directory) = "(.+)"$/gm,
    (_, name: string, path: string) => `${name} = ${JSON.stringify(fileURLToPath(new URL(path, CONFIG)))}`,
  );
  const path = join(folder, 'wrangler.toml');
  writeFileSync(path, change(absolute));
  return pathToFileURL(path);
}
