import { readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';

const CONFIG = new URL('../../wrangler.toml', import.meta.url);
/** Beside wrangler.toml, since its paths are relative to it. */
const SHIELDED = new URL('../../wrangler.shielded-test.toml', import.meta.url);

describe('the flood shield', () => {
  let edge: EdgeHarness;
  beforeAll(async () => {
    const text = await readFile(CONFIG, 'utf8');
    const shielded = text
      .replaceAll(/^# (\[\[ratelimits\]\]|name = "FLOOD_SHIELD"|namespace_id = .*|simple = .*)$/gm, '$1')
      .replace('limit = 6000', 'limit = 5');
    expect(shielded).toContain('\n[[ratelimits]]\n');
    await writeFile(SHIELDED, shielded);
    edge = await startEdgeHarness({}, SHIELDED);
  });
  afterAll(async () => {
    await edge.close();
    await rm(fileURLToPath(SHIELDED), { force: true });
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
