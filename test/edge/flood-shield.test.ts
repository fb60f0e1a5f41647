import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';

const CONFIG = new URL('../../wrangler.toml', import.meta.url);
const MAIN = 'edge/src/index.ts';

describe('the flood shield', () => {
  let edge: EdgeHarness;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidar-shield-'));
    const text = await readFile(CONFIG, 'utf8');
    const shielded = text
      .replaceAll(/^# (\[\[ratelimits\]\]|name = "FLOOD_SHIELD"|namespace_id = .*|simple = .*)$/gm, '$1')
      .replace('limit = 6000', 'limit = 5')
      .replace(`"${MAIN}"`, JSON.stringify(fileURLToPath(new URL(MAIN, CONFIG))));
    const path = join(folder, 'wrangler.toml');
    await writeFile(path, shielded);
    edge = await startEdgeHarness({}, pathToFileURL(path));
  });
  afterAll(async () => {
    await edge.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('as wrangler.toml has it commented out keeps more than its limit from one address off', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${edge.url}/v1/models`)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(15);
    const kept = answers.find(({ status }) => status === 429);
    expect(kept?.headers.get('retry-after')).toBe('60');
    expect(await kept?.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  });
});
