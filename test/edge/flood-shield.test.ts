import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeEdgeConfig } from '../support/edge-config.ts';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';

describe('the flood shield', () => {
  let edge: EdgeHarness;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidar-shield-'));
    const strict = (text: string): string => text.replace('limit = 6000', 'limit = 5');
    edge = await startEdgeHarness({}, writeEdgeConfig(folder, '[[ratelimits]]', strict));
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
